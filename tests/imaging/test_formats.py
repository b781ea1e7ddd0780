"""Telling formats by their first bytes: on files that the formats' own tools have written."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from pinakes.imaging import formats
from tests.demo.test_qcow2 import qemu_img


def told(path: Path) -> str:
    with path.open("rb") as file:
        return formats.sniff(file.read(formats.HEAD_BYTES))


@pytest.mark.parametrize(
    ("written_as", "options", "name"),
    [
        ("qcow2", "compat=1.1", "qcow2"),
        ("qcow2", "compat=0.10", "qcow2"),
        ("vmdk", "subformat=monolithicSparse", "vmdk"),
        ("vmdk", "subformat=streamOptimized", "vmdk"),
        ("vmdk", "subformat=twoGbMaxExtentSparse", "vmdk"),
        ("vdi", "static=off", "vdi"),
        ("vdi", "static=on", "vdi"),
        ("vhdx", "subformat=dynamic", "vhdx"),
    ],
)
def test_a_disk_that_qemu_wrote_is_told(tmp_path: Path, written_as: str, options: str, name: str) -> None:
    disk = tmp_path / f"disk.{written_as}"
    qemu_img("create", "-q", "-f", written_as, "-o", options, disk, "4M")
    assert told(disk) == name


def test_an_appliance_is_told_from_another_tar_file_by_its_first_member(tmp_path: Path) -> None:
    for first, name in (("box.ovf", "ova"), ("box.txt", "tar")):
        archive, member = tmp_path / "packed", tmp_path / first
        member.write_text("invented")
        with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as packed:
            packed.add(member, first)
        assert told(archive) == name


def test_a_disk_of_zeros_without_a_partition_table_is_not_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    subprocess.run(["truncate", "-s", "1M", disk], check=True)
    assert told(disk) == formats.UNKNOWN
