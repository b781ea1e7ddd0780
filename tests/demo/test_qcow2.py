"""The disk image made for demonstrations, as QEMU itself judges it."""

import json
import subprocess
from pathlib import Path

import pytest

from pinakes.demo.qcow2 import CLUSTER_BYTES, write_qcow2


def qemu_img(*arguments: str | Path) -> str:
    """What `qemu-img` (Debian's qemu-utils) prints; raises if it is missing or finds a fault."""
    return subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("size_bytes", [512, CLUSTER_BYTES * 4, 16 * 1024 * 1024, 10 * 1024**3])
def test_qemu_finds_nothing_wrong_with_it(tmp_path: Path, size_bytes: int) -> None:
    disk = tmp_path / "disk.qcow2"
    last = (size_bytes - 1) // CLUSTER_BYTES * CLUSTER_BYTES
    write_qcow2(disk, {0: b"boot".ljust(512, b"!"), last: b"end".ljust(512, b".")}, size_bytes)
    report = json.loads(qemu_img("check", "--output=json", disk))
    assert (report["check-errors"], report.get("leaks", 0), report.get("corruptions", 0)) == (0, 0, 0)
    facts = json.loads(qemu_img("info", "--output=json", disk))
    assert (facts["virtual-size"], facts["format"], facts["format-specific"]["data"]["compat"]) == (
        size_bytes,
        "qcow2",
        "1.1",
    )


def test_the_machine_sees_the_content_and_zeros_elsewhere(tmp_path: Path) -> None:
    content = {0: b"first", 3 * CLUSTER_BYTES: b"x" * CLUSTER_BYTES, 700 * CLUSTER_BYTES: b"in another table"}
    size_bytes = 4 * 1024 * 1024
    write_qcow2(tmp_path / "disk.qcow2", content, size_bytes)
    qemu_img("convert", "-O", "raw", tmp_path / "disk.qcow2", tmp_path / "disk.raw")
    expected = bytearray(size_bytes)
    for offset, part in content.items():
        expected[offset : offset + len(part)] = part
    assert (tmp_path / "disk.raw").read_bytes() == expected


@pytest.mark.parametrize(
    ("data", "size_bytes"),
    [
        ({1: b"x"}, 1024 * 1024),
        ({0: b"x" * (CLUSTER_BYTES + 1)}, 1024 * 1024),
        ({CLUSTER_BYTES: b"x"}, CLUSTER_BYTES),
        ({}, 1000),
        ({number * CLUSTER_BYTES: b"x" for number in range(2048)}, 16 * 1024 * 1024),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, data: dict[int, bytes], size_bytes: int) -> None:
    with pytest.raises(ValueError, match="the content"):
        write_qcow2(tmp_path / "disk.qcow2", data, size_bytes)
