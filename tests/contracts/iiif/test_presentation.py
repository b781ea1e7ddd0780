"""Manifests of the Presentation API 3.0: of an image, a patient's timeline, a study."""

from pathlib import Path
from typing import Any

import pytest

from pinakes.core.actor import Kind
from pinakes.core.clinic.records.images import ClinicalType
from pinakes.core.clock import DAY
from pinakes.core.renditions.series import LABORATORY
from tests.conftest import MovableClock
from tests.contracts.iiif.conftest import BASE, PHOTOGRAPH, Client, World
from tests.imaging.making_dicom import ramp, write_dicom
from tests.imaging.making_photographs import exif, saved
from tests.statements import counted_statements

PNG = saved(PHOTOGRAPH, "PNG")


def bodies(manifest: Any) -> list[Any]:
    """What is painted on the canvases, in their order; the rest of each is checked on the way (section 5)."""
    assert manifest["@context"] == "http://iiif.io/api/presentation/3/context.json"
    assert manifest["type"] == "Manifest"
    assert manifest["label"]["none"]
    found = []
    for canvas in manifest["items"]:
        assert canvas["type"] == "Canvas"
        [page] = canvas["items"]
        assert page["type"] == "AnnotationPage"
        [annotation] = page["items"]
        assert (annotation["type"], annotation["motivation"]) == ("Annotation", "painting")
        assert annotation["target"] == canvas["id"]
        body = annotation["body"]
        assert (body["type"], body["format"]) == ("Image", "image/jpeg")
        assert (canvas["width"], canvas["height"]) == (300, 200)
        found.append(body)
    everything = [manifest["id"], *(canvas["id"] for canvas in manifest["items"])]
    assert len(set(everything)) == len(everything)
    return found


def images_of(manifest: Any) -> list[int]:
    return [int(body["service"][0]["id"].rpartition("/")[2]) for body in bodies(manifest)]


def test_an_image_is_a_canvas_with_the_picture_painted_on_it(ana: Client, photograph: int) -> None:
    manifest = ana.document(f"/presentation/images/{photograph}")
    assert manifest["id"] == f"{BASE}/presentation/images/{photograph}"
    [body] = bodies(manifest)
    service = {"id": f"{BASE}/3/{photograph}", "type": "ImageService3", "profile": "level2"}
    assert body["service"] == [service]
    assert ana.pixels(body["id"]).shape == (200, 300, 3)
    [thumbnail] = manifest["thumbnail"]
    assert ana.pixels(thumbnail["id"]).shape == (thumbnail["height"], thumbnail["width"], 3)
    assert max(thumbnail["height"], thumbnail["width"]) == 256


def test_a_manifest_is_json_ld(ana: Client, photograph: int) -> None:
    answer = ana.get(f"/presentation/images/{photograph}")
    context = "http://iiif.io/api/presentation/3/context.json"
    assert answer.headers["content-type"] == f'application/ld+json;profile="{context}"'


def test_a_timeline_is_in_the_order_in_which_pictures_were_taken(world: World, clock: MovableClock) -> None:
    """When the file tells; else when it came. On both backends, and never with the patient's name."""
    ana = world.user("ana")
    patient_id = world.patient("ana")
    came = [world.clinical("ana", patient_id, PNG, ClinicalType.XRAY)]
    clock.advance(DAY)
    came.append(world.clinical("ana", patient_id, PNG))
    clock.advance(DAY)
    taken = exif(offset="+02:00")
    came.append(world.clinical("ana", patient_id, saved(PHOTOGRAPH, "JPEG", exif=taken)))
    clock.advance(DAY)
    world.clinical("ana", patient_id, b"an audiogram in words", ClinicalType.AUDIOGRAM)
    other = world.clinical("ana", world.patient("ana", first="Rosa"), PNG)
    read(world, [*came, other])
    manifest = ana.document(f"/presentation/patients/{patient_id}")
    assert images_of(manifest) == [came[2], came[0], came[1]]
    dates = [canvas["navDate"] for canvas in manifest["items"]]
    assert dates == sorted(dates)
    assert all(date.endswith("Z") for date in dates)
    assert [canvas["label"]["none"] for canvas in manifest["items"]] == [["Headshot"], ["Xray"], ["Headshot"]]
    text = ana.get(f"/presentation/patients/{patient_id}").text
    assert "Quintero" not in text
    assert "In\\u00e9s" not in text


def test_a_timeline_has_the_slides_that_are_linked_to_the_patient_as_far_as_they_may_be_seen(world: World) -> None:
    """DESIGN.md section 2: by an identifier, never by equal numbers."""
    both, clinic = world.user("dora", Kind.CLINICAL, Kind.SLIDE), world.user("ana")
    world.user("paul", Kind.SLIDE)
    patient_id = world.patient("dora")
    world.archive.register.identifiers.add(world.actor("dora"), patient_id, LABORATORY, "P-77")
    world.archive.register.identifiers.add(world.actor("dora"), patient_id, "elsewhere", "P-78")
    image_id = world.clinical("dora", patient_id)
    own, foreign = (world.slide(name, PNG, patient_ref="P-77") for name in ("dora", "paul"))
    unlinked = [world.slide("dora", PNG, patient_ref=ref) for ref in ("P-78", str(patient_id), None)]
    read(world, [image_id, own, foreign, *unlinked])
    path = f"/presentation/patients/{patient_id}"
    assert images_of(both.document(path)) == [image_id, own]
    assert images_of(clinic.document(path)) == [image_id]
    assert "Quintero" not in both.get(path).text


def test_a_timeline_asks_the_same_number_of_statements_however_long_it_is(world: World) -> None:
    ana = world.user("ana")
    patient_id = world.patient("ana")
    path = f"/presentation/patients/{patient_id}"
    costs = []
    for count in (1, 5):
        read(world, [world.clinical("ana", patient_id) for _ in range(count)])
        with counted_statements(world.archive.database.engine) as statements:
            ana.document(path)
        costs.append(len(statements))
    assert costs[0] == costs[1]


def test_a_study_has_its_slides(lasting_world: World) -> None:
    lab = lasting_world.user("lena", Kind.SLIDE)
    lasting_world.user("lars", Kind.SLIDE)
    slides = [lasting_world.slide("lena", PNG, study_ref="S/1 ü") for _ in range(2)]
    read(lasting_world, [*slides, lasting_world.slide("lars", PNG, study_ref="S/1 ü")])
    lasting_world.slide("lena", PNG, study_ref="S")
    manifest = lab.document("/presentation/studies/S%2F1%20%C3%BC")
    assert images_of(manifest) == slides
    assert manifest["id"] == f"{BASE}/presentation/studies/S%2F1%20%C3%BC"


def test_the_images_of_a_dicom_study_are_together_and_its_uid_is_told_nowhere(world: World, tmp_path: Path) -> None:
    """Issue 4, item 4: a manifest for a study. On both backends."""
    ana, lab = world.user("ana"), world.user("lena", Kind.SLIDE)
    uid = "1.2.826.0.1.3680043.8.498.77"

    def of_study(name: str, number: str) -> bytes:
        return write_dicom(tmp_path / name, ramp(200, 300, step=1), StudyInstanceUID=number).read_bytes()

    patient_id = world.patient("ana")
    images = [world.clinical("ana", patient_id, of_study(name, uid), ClinicalType.XRAY) for name in "ab"]
    other = world.clinical("ana", patient_id, of_study("c", f"{uid}.1"), ClinicalType.XRAY)
    foreign, plain = world.slide("lena", of_study("d", uid)), world.clinical("ana", patient_id)
    read(world, [*images, other, foreign, plain])
    for image_id in images:
        manifest = ana.document(f"/presentation/images/{image_id}/study")
        assert images_of(manifest) == images
        (whole,) = ana.document(f"/presentation/images/{image_id}")["partOf"]
        assert whole == {"id": manifest["id"], "type": "Manifest"}
        assert uid not in ana.get(whole["id"]).text
    assert images_of(ana.document(f"/presentation/images/{other}/study")) == [other]
    assert images_of(lab.document(f"/presentation/images/{foreign}/study")) == [foreign]
    for client, image_id in ((ana, foreign), (lab, images[0]), (world.stranger(), images[0])):
        assert client.get(f"/presentation/images/{image_id}/study").status_code == 404
    assert "partOf" not in ana.document(f"/presentation/images/{plain}")
    assert ana.get(f"/presentation/images/{plain}/study").status_code == 404
    link = world.link("ana", images[0])
    assert "partOf" not in world.stranger().document(f"/view/{link}/presentation/images/{images[0]}")
    assert world.stranger().get(f"/view/{link}/presentation/images/{images[0]}/study").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "images/99999/study",
        "images/x/study",
        "images/" + "9" * 5000 + "/study",
        "patients/99999",
        "patients/0",
        "patients/x",
        "patients/" + "9" * 5000,
        "patients/%00",
        "studies/S-1",
        "patients",
        "studies/%00",
        "studies/%ff",
        "images/99999",
        "images/x",
        "studies/" + "x" * 5000,
    ],
)
def test_what_is_not_there_has_no_manifest(lasting_world: World, path: str) -> None:
    everywhere = lasting_world.user("omar", Kind.CLINICAL, Kind.SLIDE)
    assert everywhere.get(f"/presentation/{path}").status_code == 404


def test_who_is_not_of_the_clinic_sees_no_timeline(lasting_world: World, ana: Client, photograph: int) -> None:
    patient_id = lasting_world.archive.clinical_images.get(lasting_world.actor("ana"), photograph).patient_id
    read(lasting_world, [photograph])
    path = f"/presentation/patients/{patient_id}"
    assert ana.get(path).status_code == 200
    assert lasting_world.user("peer", Kind.SLIDE, Kind.MACHINE).get(path).status_code == 404
    assert lasting_world.stranger().get(path).status_code == 401
    assert ana.get("/presentation/studies/S").status_code == 404


def read(world: World, image_ids: list[int]) -> None:
    """Have what the pictures are read from their files, as the job does that every new one is followed by."""
    system = world.user("reader", Kind.CLINICAL, Kind.SLIDE, is_staff=True)
    for image_id in image_ids:
        assert system.get(f"/3/{image_id}/info.json").status_code == 200
