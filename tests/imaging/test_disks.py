"""What disk images tell of themselves: on files that QEMU wrote, and on files that lie."""

import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinakes.imaging.disks import describe_disk
from pinakes.imaging.source import Description, Unreadable
from tests.demo.test_qcow2 import qemu_img
from tests.imaging.making_disks import (
    DISK_BYTES,
    EFI_SYSTEM,
    LINUX,
    SECTOR,
    mbr_sector,
    write_gpt,
    write_iso,
    write_mbr,
)

GPT_PARTS = [(EFI_SYSTEM, 2048, 4095), (LINUX, 4096, 12287)]
GPT_FACTS = [
    {"start_byte": 2048 * 512, "bytes": 2048 * 512, "type": str(EFI_SYSTEM)},
    {"start_byte": 4096 * 512, "bytes": 8192 * 512, "type": str(LINUX)},
]
CONTAINERS = [
    ("qcow2", "compat=1.1", ()),
    ("qcow2", "compat=0.10", ()),
    ("qcow2", "cluster_size=512", ()),
    ("qcow2", "compat=1.1", ("-c",)),
    ("qcow2", "cluster_size=4k", ("-c",)),
    ("vmdk", "subformat=monolithicSparse", ()),
    ("vmdk", "subformat=streamOptimized", ()),
    ("vdi", "static=off", ()),
    ("vdi", "static=on", ()),
    ("vhdx", "subformat=dynamic", ()),
    ("vhdx", "subformat=fixed", ()),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A disk with two partitions."""
    path = tmp_path / "disk.raw"
    write_gpt(path, GPT_PARTS)
    return path


def changed(path: Path, offset: int, content: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
    return path


def table_of(description: Description) -> tuple[Any, Any]:
    return description.facts.get("partition_table", "not read"), description.facts.get("partitions")


@pytest.mark.parametrize(("format", "options", "more"), CONTAINERS)
def test_size_and_partitions_are_read_out_of_what_qemu_wrote(
    tmp_path: Path, raw: Path, format: str, options: str, more: tuple[str, ...]
) -> None:
    disk = tmp_path / "disk"
    qemu_img("convert", "-f", "raw", "-O", format, "-o", options, *more, raw, disk)
    described = describe_disk(disk)
    assert (described.format, described.size, described.levels, described.warnings) == (format, None, (), ())
    assert described.facts["virtual_bytes"] == DISK_BYTES
    assert table_of(described) == ("gpt", GPT_FACTS)


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_raw_disk_may_have_sectors_of_either_size(tmp_path: Path, sector: int) -> None:
    write_gpt(tmp_path / "disk", [(LINUX, 100, 199)], sector)
    expected = [{"start_byte": 100 * sector, "bytes": 100 * sector, "type": str(LINUX)}]
    assert table_of(describe_disk(tmp_path / "disk")) == ("gpt", expected)


def test_the_old_table_is_read_with_its_logical_partitions(tmp_path: Path) -> None:
    links = {4096: mbr_sector([(0x83, 8, 1000), (0x05, 2048, 2048)]), 6144: mbr_sector([(0x82, 8, 500)])}
    write_mbr(tmp_path / "disk", [(0x07, 64, 2048), (0x0F, 4096, 8192)], links)
    assert table_of(describe_disk(tmp_path / "disk")) == (
        "mbr",
        [
            {"start_byte": 64 * SECTOR, "bytes": 2048 * SECTOR, "type": "0x07"},
            {"start_byte": 4104 * SECTOR, "bytes": 1000 * SECTOR, "type": "0x83"},
            {"start_byte": 6152 * SECTOR, "bytes": 500 * SECTOR, "type": "0x82"},
        ],
    )


@pytest.mark.parametrize("next_link", [0, 2048, 2**32 - 5000])
def test_a_chain_of_partitions_that_goes_round_or_astray_ends(tmp_path: Path, next_link: int) -> None:
    links = {start: mbr_sector([(0x83, 8, 10), (0x05, next_link, 10)]) for start in (4096, 6144)}
    write_mbr(tmp_path / "disk", [(0x05, 4096, 8192)], links)
    described = describe_disk(tmp_path / "disk")
    assert (table_of(described), described.warnings) == (("not read", None), ("The partition table is damaged.",))


def test_a_boot_sector_without_a_table_is_no_table(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes((b"\xeb\x3c\x90MSDOS5.0" + b"text in the table's place " * 30)[:510] + b"\x55\xaa" + bytes(4096))
    assert table_of(describe_disk(disk)) == (None, [])


def test_a_partition_beyond_the_end_is_told(tmp_path: Path) -> None:
    write_mbr(tmp_path / "disk", [(0x83, 64, 2**31)])
    described = describe_disk(tmp_path / "disk")
    assert described.warnings == ("A partition reaches beyond the end of the disk.",)
    assert described.facts["partitions"][0]["bytes"] == 2**31 * SECTOR


def test_a_wrong_checksum_is_told(raw: Path) -> None:
    changed(raw, 2 * SECTOR + 200, b"\1")
    assert describe_disk(raw).warnings == ("The checksum of the partition table is wrong.",)


@pytest.mark.parametrize(
    ("offset", "content"),
    [
        (80, struct.pack("<II", 2**32 - 1, 2**32 - 1)),
        (80, struct.pack("<II", 128, 1)),
        (72, b"\xff" * 8),
        (12, struct.pack("<I", 2**31)),
        (SECTOR + 32, struct.pack("<QQ", 5, 2**64 - 1)),
        (SECTOR + 32, struct.pack("<QQ", 5, 4)),
    ],
)
def test_a_lying_table_is_told_as_damaged(raw: Path, offset: int, content: bytes) -> None:
    described = describe_disk(changed(raw, SECTOR + offset, content))
    assert (table_of(described), described.warnings) == (("not read", None), ("The partition table is damaged.",))


def test_a_backing_file_is_told_of_and_never_opened(tmp_path: Path, raw: Path) -> None:
    base, disk = tmp_path / "base.qcow2", tmp_path / "disk.qcow2"
    qemu_img("convert", "-O", "qcow2", raw, base)
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk)
    base.unlink()
    described = describe_disk(disk)
    assert described.facts["backing_file"] is True
    assert described.warnings == ("The disk refers to a backing file, which is not part of it.",)
    assert table_of(described) == ("not read", None)
    assert "base" not in str(described)


def test_external_data_is_told_of_and_never_opened(tmp_path: Path) -> None:
    data, disk = tmp_path / "elsewhere.raw", tmp_path / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={data}", disk, "4M")
    data.unlink()
    described = describe_disk(disk)
    assert described.facts["external_data"] is True
    assert described.warnings == ("The disk keeps its data in another file, which is not part of it.",)
    assert "elsewhere" not in str(described)


def test_snapshots_are_counted(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", disk, "4M")
    for name in ("first", "second"):
        qemu_img("snapshot", "-c", name, disk)
    assert describe_disk(disk).facts["snapshots"] == 2


@pytest.mark.parametrize("method", ["luks", "aes"])
def test_an_encrypted_disk_is_told(tmp_path: Path, method: str) -> None:
    disk = tmp_path / "disk.qcow2"
    options = f"encrypt.format={method},encrypt.key-secret=key" + (",encrypt.iter-time=10" if method == "luks" else "")
    qemu_img("create", "-q", "--object", "secret,id=key,data=invented", "-f", "qcow2", "-o", options, disk, "4M")
    described = describe_disk(disk)
    assert described.facts["encrypted"] is True
    assert described.warnings == ("The disk is encrypted.",)
    assert table_of(described) == ("not read", None)


def test_qcow2_with_subclusters_has_its_size(tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-o", "extended_l2=on,cluster_size=128k", tmp_path / "disk", "4M")
    described = describe_disk(tmp_path / "disk")
    assert (described.facts["virtual_bytes"], table_of(described)) == (4 * 1024 * 1024, ("not read", None))


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_disk_whose_data_lie_in_other_files_is_told(tmp_path: Path, kind: str) -> None:
    qemu_img("create", "-q", "-f", "vmdk", "-o", f"subformat={kind}", tmp_path / "disk.vmdk", "5G")
    described = describe_disk(tmp_path / "disk.vmdk")
    assert (described.facts["virtual_bytes"], described.facts["kind"]) == (5 * 1024**3, kind)
    assert described.warnings == ("The disk keeps its data in other files, which are not part of it.",)


def test_one_extent_of_such_a_disk_is_told(tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", tmp_path / "disk.vmdk", "4M")
    described = describe_disk(tmp_path / "disk-s001.vmdk")
    assert described.facts["external_data"] is True


def test_a_vmdk_with_a_parent_is_told(tmp_path: Path) -> None:
    base, disk = tmp_path / "base.vmdk", tmp_path / "disk.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", base, "4M")
    qemu_img("create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", disk)
    described = describe_disk(disk)
    assert described.facts["backing_file"] is True
    assert described.warnings == ("The disk refers to a parent, which is not part of it.",)
    assert table_of(described) == ("not read", None)


def test_a_vdi_with_a_parent_is_told(tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "vdi", tmp_path / "disk", "4M")
    described = describe_disk(changed(tmp_path / "disk", 0x4C, struct.pack("<I", 4)))
    assert (described.facts["kind"], described.facts["backing_file"]) == ("differencing", True)
    assert table_of(described) == ("not read", None)


def test_a_vhdx_that_was_not_closed_is_told_and_its_blocks_are_not_believed(tmp_path: Path, raw: Path) -> None:
    disk = tmp_path / "disk"
    qemu_img("convert", "-O", "vhdx", raw, disk)
    for header in (64 * 1024, 128 * 1024):
        changed(disk, header + 48, b"\x05" * 16)
    described = describe_disk(disk)
    assert described.warnings == ("The disk was not closed properly.",)
    assert table_of(described) == ("not read", None)


@pytest.mark.parametrize("is_bootable", [True, False])
def test_an_optical_disc_tells_its_size_and_not_its_name(tmp_path: Path, is_bootable: bool) -> None:
    write_iso(tmp_path / "disc", 300, is_bootable=is_bootable)
    described = describe_disk(tmp_path / "disc")
    assert (described.format, described.facts["virtual_bytes"]) == ("iso", 300 * 2048)
    assert described.facts["bootable"] is is_bootable
    assert described.warnings == ()
    assert "DOE" not in str(described)


def test_a_disc_that_is_cut_off_is_told(tmp_path: Path) -> None:
    write_iso(tmp_path / "disc", 300)
    with (tmp_path / "disc").open("r+b") as file:
        file.truncate(100 * 2048)
    assert describe_disk(tmp_path / "disc").warnings == ("The file is shorter than the disc it holds.",)


@pytest.mark.parametrize(
    ("offset", "content"),
    [
        (4, struct.pack(">I", 9)),
        (20, struct.pack(">I", 63)),
        (20, struct.pack(">I", 0)),
        (24, b"\xff" * 8),
        (32, struct.pack(">I", 7)),
        (72, b"\x80" + bytes(7)),
    ],
)
def test_a_qcow2_header_that_makes_no_sense_is_refused(tmp_path: Path, offset: int, content: bytes) -> None:
    qemu_img("create", "-q", "-f", "qcow2", tmp_path / "disk", "4M")
    with pytest.raises(Unreadable):
        describe_disk(changed(tmp_path / "disk", offset, content))


def test_a_qcow2_table_that_leads_out_of_the_file_is_told(tmp_path: Path, raw: Path) -> None:
    disk = tmp_path / "disk"
    qemu_img("convert", "-O", "qcow2", raw, disk)
    (table,) = struct.unpack(">Q", disk.read_bytes()[40:48])
    described = describe_disk(changed(disk, table, struct.pack(">Q", 1 << 50)))
    assert described.warnings == ("The partition table is damaged.",)


def test_a_packed_cluster_that_would_become_huge_is_cut_at_its_size(tmp_path: Path, raw: Path) -> None:
    disk = tmp_path / "disk"
    qemu_img("convert", "-c", "-O", "qcow2", raw, disk)
    content = disk.read_bytes()
    (table,) = struct.unpack_from(">Q", content, 40)
    (entries,) = struct.unpack_from(">Q", content, table)
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9, wbits=-12)
    sectors = -(-len(bomb) // SECTOR)
    place = -(-len(content) // SECTOR) * SECTOR
    changed(disk, place, bomb.ljust(sectors * SECTOR, b"\0"))
    changed(disk, entries & 0xFFFFFFFFFFFE00, struct.pack(">Q", 1 << 62 | sectors << 54 | place))
    tracemalloc.start()
    try:
        assert table_of(describe_disk(disk)) == (None, [])
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_is_no_disk_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\x89PNG\r\n\x1a\n", bytes(4096)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(Unreadable):
            describe_disk(tmp_path / "file")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One disk of each kind, as far as its tables reach."""
    folder = tmp_path_factory.mktemp("written")
    write_gpt(folder / "raw", GPT_PARTS)
    write_iso(folder / "iso", is_bootable=True)
    for number, (format, options, more) in enumerate(CONTAINERS):
        disk = folder / str(number)
        qemu_img("convert", "-f", "raw", "-O", format, "-o", options, *more, folder / "raw", disk)
    return [file.read_bytes()[: 4 * 1024 * 1024] for file in sorted(folder.iterdir())]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_lies_is_described_or_refused_and_nothing_else(
    tmp_path: Path, written: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(written)))
    for _ in range(data.draw(st.integers(1, 4))):
        base = data.draw(st.sampled_from([0, 64, 340, SECTOR, 32768, 65536, 131072, 196608, 262144, 1024 * 1024]))
        lie = data.draw(st.binary(min_size=1, max_size=16) | st.sampled_from([b"\xff" * 8, bytes(8), b"\xff" * 4]))
        offset = min(base + data.draw(st.integers(0, 128)), len(content) - 1)
        content[offset : offset + len(lie)] = lie
    disk = tmp_path / "disk"
    disk.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        described = describe_disk(disk)
    except Unreadable:
        return
    assert 0 <= described.facts["virtual_bytes"] < 2**63
    assert all(0 <= part["start_byte"] + part["bytes"] < 2**63 for part in described.facts.get("partitions", ()))
