"""`pinakes image export --deidentify`: files come out, and what tells who is shown stays behind."""

import io
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from pinakes.acting import acting_as
from pinakes.core import audit
from pinakes.core.archive import Archive
from pinakes.demo.loading import SOMEBODY, write_disk
from pinakes.demo.pictures import radiograph
from tests.cli.conftest import Run

GPS = 0x8825
CAMERA = "Invented 3000"


@pytest.fixture
def patient(archive: Archive, user: str) -> int:
    return archive.register.patients.create(acting_as(archive, user), SOMEBODY)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """As a telephone writes it: a picture, a camera's name and a place."""
    exif = Image.Exif()
    exif[0x0110] = CAMERA
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    path = tmp_path / "telephone.jpg"
    Image.linear_gradient("L").convert("RGB").save(path, exif=exif, quality=90)
    return path


def put(pinakes: Run, path: Path, user: str, patient: int, shown: str = "Surgery") -> str:
    options = ("--kind", "clinical", "--patient", patient, "--type", shown)
    return pinakes("image", "put", path, "--as", user, *options).result


def test_a_photograph_comes_out_without_the_place_and_with_the_same_pixels(
    pinakes: Run, archive: Archive, user: str, patient: int, photograph: Path, tmp_path: Path
) -> None:
    image_id = put(pinakes, photograph, user, patient)
    output = tmp_path / "out.jpg"
    assert pinakes("image", "export", image_id, "--deidentify", "-o", output, "--as", user).status == 0
    with Image.open(output) as made, Image.open(photograph) as original:
        assert GPS in original.getexif()
        assert GPS not in made.getexif()
        assert made.tobytes() == original.tobytes()
    assert CAMERA.encode() not in output.read_bytes()
    with archive.database.read() as connection:
        read = [event for event in audit.of_image(connection, int(image_id)) if event.action == "content:read"]
    assert [(event.api, event.patient_id) for event in read] == [("cli", patient)]


def test_an_x_ray_comes_out_without_the_patient(pinakes: Run, user: str, patient: int, tmp_path: Path) -> None:
    path = radiograph("CT_small.dcm")
    original = pydicom.dcmread(path)
    image_id = put(pinakes, path, user, patient, "Xray")
    exported = pinakes("image", "export", image_id, "--deidentify", "-o", "-")
    assert exported.status == 0, exported.err
    made = pydicom.dcmread(io.BytesIO(exported.out))
    assert str(original.PatientName)
    assert str(original.PatientID)
    assert str(original.PatientName).encode() not in exported.out
    assert str(original.PatientID) != str(made.get("PatientID", ""))
    assert (made.pixel_array == original.pixel_array).all()


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_who_gets_a_png_for_a_picture_of_another_kind_is_told(
    pinakes: Run, user: str, patient: int, photograph: Path, tmp_path: Path
) -> None:
    bitmap, output = tmp_path / "scan.bmp", tmp_path / "out"
    with Image.open(photograph) as picture:
        picture.save(bitmap)
        exported = pinakes("image", "export", put(pinakes, bitmap, user, patient), "--deidentify", "-o", output)
        assert (exported.status, "PNG" in exported.err) == (0, True)
        with Image.open(output) as made:
            assert (made.format, made.tobytes()) == ("PNG", picture.tobytes())


def test_what_cannot_be_deidentified_leaves_no_file(
    pinakes: Run, user: str, patient: int, photograph: Path, tmp_path: Path
) -> None:
    disk, cut = tmp_path / "disk.qcow2", tmp_path / "cut.dcm"
    write_disk(disk)
    cut.write_bytes(radiograph("CT_small.dcm").read_bytes()[:700])
    output = tmp_path / "out"
    for image_id in (
        pinakes("image", "put", disk, "--as", user, "--kind", "machine").result,
        put(pinakes, cut, user, patient, "Xray"),
    ):
        failure = pinakes("image", "export", image_id, "--deidentify", "-o", output).failure
        assert failure.startswith("the image cannot be de-identified: ")
        assert str(tmp_path) not in failure
        assert not output.exists()
    assert list((tmp_path / "var" / "scratch").iterdir()) == []


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_nothing_is_overwritten_and_nobody_exports_what_they_may_not_see(
    pinakes: Run, user: str, patient: int, photograph: Path, tmp_path: Path
) -> None:
    image_id = put(pinakes, photograph, user, patient)
    pinakes("user", "add", "bea", "--email", "bea@example.org", "--kinds", "machine")
    output = tmp_path / "precious"
    refused = pinakes("image", "export", image_id, "--deidentify", "-o", output, "--as", "bea")
    assert refused.failure == "There is no such image."
    assert not output.exists()
    output.write_text("do not lose me")
    assert "--force" in pinakes("image", "export", image_id, "--deidentify", "-o", output).failure
    assert output.read_text() == "do not lose me"
    assert pinakes("image", "export", image_id, "--deidentify", "-o", output, "--force").status == 0


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_an_export_says_what_it_is_to_leave_out(pinakes: Run, user: str, tmp_path: Path) -> None:
    assert pinakes("image", "export", 1, "-o", tmp_path / "out").status == 2
