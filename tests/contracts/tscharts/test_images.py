"""Contract section 3: images."""

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path

import pydicom.data
import pytest
import skimage.data

from pinakes.core import audit
from pinakes.core.archive import Archive
from pinakes.core.audit import Action
from pinakes.core.clock import SECOND
from tests.conftest import MovableClock
from tests.contracts.tscharts.conftest import LARGEST_BODY, Client
from tests.core.clinic.making import stored_objects


def photographs() -> list[Path]:
    """Photographs of scikit-image and radiographs of pydicom, as they lie in the packages."""
    pictures = resources.files(skimage.data)
    names = ("CT_small.dcm", "examples_overlay.dcm")
    scans = [pydicom.data.get_testdata_file(name, download=False) for name in names]
    return [*(Path(str(pictures / name)) for name in ("astronaut.png", "rocket.jpg")), *map(Path, map(str, scans))]


# -- Get ----------------------------------------------------------------------------------------------------------


def test_i_g1_the_document_example_byte_by_byte(client: Client) -> None:
    patient, clinic, station = client.patient(), client.clinic(), client.station()
    body = {"type": "Headshot", "clinic": clinic, "station": station, "patient": patient, "data": "ABCDEFG"}
    created = client("POST", "/image/", body)
    image = created.json()["id"]
    assert created.content == b'{"id":%d}' % image
    expected = '{"patient":%d,"data":"ABCDEFG","clinic":%d,"station":%d,"type":"Headshot","id":%d}'
    assert client("GET", f"/image/{image}/").text == expected % (patient, clinic, station, image)
    deleted = client("DELETE", f"/image/{image}/")
    assert (deleted.status_code, deleted.content) == (200, b"{}")


def test_i_g1_what_was_not_given_is_null(client: Client) -> None:
    patient = client.patient()
    image = client.image(patient)
    assert client("GET", f"/image/{image}").json() == {
        "id": image,
        "patient": patient,
        "clinic": None,
        "station": None,
        "type": "Xray",
        "data": "ABCDEFG",
    }


def test_i_g2_an_unknown_image_is_404(client: Client) -> None:
    assert client("GET", "/image/99/").status_code == 404


def test_i_g3_bytes_missing_from_the_store_are_500_without_their_key(client: Client, archive: Archive) -> None:
    image = client.image(client.patient())
    keys = [stored.key for stored in archive.store.list()]
    for key in keys:
        archive.store.delete(key)
    answer = client("GET", f"/image/{image}/")
    assert answer.status_code == 500
    assert keys[0] not in answer.text


def test_an_image_that_the_client_has_is_304(client: Client) -> None:
    image = client.image(client.patient())
    tag = client("GET", f"/image/{image}/").headers["etag"]
    assert client("GET", f"/image/{image}/", headers={"If-None-Match": tag}).status_code == 304
    assert client("GET", "/image/?newest=true", headers={"If-None-Match": f'"other", W/{tag}'}).status_code == 304
    assert client("GET", f"/image/{image}/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_reading_an_image_is_in_the_trail_of_its_patient(client: Client, archive: Archive) -> None:
    patient = client.patient()
    image = client.image(patient)
    client("GET", f"/image/{image}/")
    client("GET", f"/image/?patient={patient}&newest=true")
    client("GET", "/image/")
    archive.trail.flush()
    with archive.database.read() as connection:
        reads = [event for event in audit.of_patient(connection, patient) if event.action == Action.CONTENT_READ]
    assert [event.image_id for event in reads] == [image, image]


# -- Search -------------------------------------------------------------------------------------------------------


def test_i_s1_s2_s3_filters_must_all_fit_and_none_is_required(client: Client) -> None:
    eva, ana = client.patient(first="Eva"), client.patient(first="Ana")
    clinic, station = client.clinic(), client.station()
    one = client.image(eva, clinic=clinic)
    two = client.image(eva, type="Headshot", station=station)
    three = client.image(ana, clinic=clinic, station=station)
    for query, expected in (
        ("", [one, two, three]),
        (f"?patient={eva}", [one, two]),
        (f"?station={station}", [two, three]),
        (f"?clinic={clinic}", [one, three]),
        ("?type=Headshot", [two]),
        (f"?clinic={clinic}&patient={eva}&type=Xray", [one]),
        (f"?clinic={clinic}&patient={ana}&type=Xray&station={station}", [three]),
    ):
        answer = client("GET", f"/image/{query}")
        assert (answer.status_code, answer.json()) == (200, expected), query


def test_i_s4_an_unknown_type_is_400(client: Client) -> None:
    client.image(client.patient())
    for text in ("headshot", "XRAY", "Bad%20Type", "Xray%20", "X%00"):
        assert client("GET", f"/image/?type={text}").status_code == 400, text


def test_i_s5_s6_flags_are_exactly_true_or_false(client: Client) -> None:
    client.image(client.patient())
    for text in ("True", "False", "TRUE", "1", "0", "yadda", "true%20"):
        for name in ("sort", "newest"):
            assert client("GET", f"/image/?{name}={text}").status_code == 400, (name, text)


def test_i_s5_sorted_the_newest_comes_first(client: Client, clock: MovableClock) -> None:
    patient = client.patient()
    first, second = client.image(patient), client.image(patient)
    clock.advance(SECOND)
    third = client.image(patient)
    assert client("GET", "/image/?sort=true").json() == [third, second, first]
    for query in ("", "?sort=false"):
        assert client("GET", f"/image/{query}").json() == [first, second, third]


def test_i_s6_newest_is_one_whole_image_and_overrides_sort(client: Client, clock: MovableClock) -> None:
    patient = client.patient()
    client.image(patient, "first", "Headshot")
    clock.advance(SECOND)
    newest = client.image(patient, "second", "Headshot")
    clock.advance(SECOND)
    client.image(patient, "third", "Xray")
    for sort in ("", "&sort=true", "&sort=false"):
        found = client("GET", f"/image?patient={patient}&newest=true&type=Headshot{sort}").json()
        assert found == client("GET", f"/image/{newest}/").json()
        assert found["data"] == "second"
    assert client("GET", "/image/?newest=true&sort=yadda").status_code == 400
    assert isinstance(client("GET", "/image/?newest=false").json(), list)


def test_i_s7_s8_nothing_found_and_nobody_known_are_404(client: Client) -> None:
    patient = client.patient()
    for query in ("", "?newest=true", f"?patient={patient}", "?patient=99", "?clinic=99", "?station=99&newest=true"):
        assert client("GET", f"/image/{query}").status_code == 404, query


def test_i_s9_what_is_malformed_wins_over_what_is_unknown(client: Client) -> None:
    for query in ("patient=99&sort=x", "newest=x&clinic=99", "type=x&patient=0", "patient=99&clinic=x"):
        assert client("GET", f"/image/?{query}").status_code == 400, query


# -- Create -------------------------------------------------------------------------------------------------------


def test_i_c1_c5_every_type_with_and_without_clinic_and_station(client: Client) -> None:
    patient, clinic, station = client.patient(), client.clinic(), client.station()
    for type in ("Xray", "Headshot", "Audiogram", "Surgery"):
        for more in ({}, {"clinic": clinic}, {"station": station}, {"clinic": str(clinic), "station": station}):
            found = client("GET", f"/image/{client.image(patient, type=type, **more)}/").json()
            assert found["type"] == type
            assert found["clinic"] == (clinic if "clinic" in more else None)
            assert found["station"] == (station if "station" in more else None)


def test_i_c1_c4_c5_what_is_missing_or_malformed_is_400_and_leaves_nothing(client: Client, archive: Archive) -> None:
    good = {"patient": client.patient(), "type": "Xray", "data": "ABCD"}
    for member in good:
        assert client("POST", "/image/", {name: good[name] for name in good if name != member}).status_code == 400
    for member, value in (
        ("clinic", None),
        ("station", None),
        ("clinic", "x"),
        ("station", 1.5),
        ("type", "xray"),
        ("type", None),
        ("type", 5),
        ("data", None),
        ("data", 5),
        ("data", []),
        ("data", {}),
        ("data", True),
        ("data", ""),
    ):
        assert client("POST", "/image/", good | {member: value}).status_code == 400, (member, value)
    assert client("POST", "/image/", content=b'{"patient": 1, "type": "Xray", "data": "\\ud800"}').status_code == 400
    assert stored_objects(archive) == 0
    assert client("GET", "/image/").status_code == 404


def test_i_c6_c7_what_is_unknown_is_404_unless_something_is_malformed_and_leaves_nothing(
    client: Client, archive: Archive
) -> None:
    good = {"patient": client.patient(), "type": "Xray", "data": "ABCD"}
    for name in ("patient", "clinic", "station"):
        for value in (99, 0, 2**63):
            assert client("POST", "/image/", good | {name: value}).status_code == 404
            assert client("POST", "/image/", good | {name: value, "type": "x"}).status_code == 400
            assert client("POST", "/image/", good | {name: value, "data": ""}).status_code == 400
    assert stored_objects(archive) == 0
    assert client("GET", "/image/").status_code == 404


def test_i_c3_data_comes_back_character_for_character(client: Client) -> None:
    patient = client.patient()
    for data in (
        "ABCDEFG",
        "QUJD",
        "QUI=",
        "QQ==",
        "QQ=",
        "QQ",
        "QR==",  # bits left over
        "QUJD\nQUJD",
        "QUJD\r\nQUJD\r\n",
        " QUJD",
        "QUJD ",
        "data:image/png;base64,QUJD",
        "=",
        "====",
        "QUJD====",
        "QQ==QUJD",
        "-_-_",
        'quotes " and \\ and / and \b\f\t',
        "ñ 写真 \U0001f4f7",
        "\u2028\x7f\x1f",
        "a\0b",
    ):
        answer = client("GET", f"/image/{client.image(patient, data)}/")
        assert answer.json()["data"] == data
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_i_c3_escapes_in_the_request_stand_for_their_characters(client: Client) -> None:
    content = rb'{"\u0064ata": "QU\u004a\u0044\/\ud83d\udcf7", "patient": %d, "type": "Xray"}' % client.patient()
    image = client("POST", "/image/", content=content).json()["id"]
    assert client("GET", f"/image/{image}/").json()["data"] == "QUJD/\U0001f4f7"


def test_i_c3_of_a_repeated_member_the_last_counts(client: Client) -> None:
    content = b'{"data": "%s", "patient": %d, "type": "Xray", "data": "last"}' % (b"QUJD" * 9999, client.patient())
    image = client("POST", "/image/", content=content).json()["id"]
    assert client("GET", f"/image/{image}/").json()["data"] == "last"


@pytest.mark.parametrize("path", photographs(), ids=lambda path: path.name)
def test_real_pictures_come_back_with_the_same_digest_and_are_kept_as_pictures(
    client: Client, archive: Archive, path: Path
) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    data = base64.b64encode(path.read_bytes()).decode()
    image = client.image(client.patient(), data)
    answer = client("GET", f"/image/{image}/")
    assert int(answer.headers["content-length"]) == len(answer.content)
    returned = answer.json()["data"]
    assert returned == data
    assert hashlib.sha256(base64.b64decode(returned)).hexdigest() == digest
    user = archive.credentials.actor("native", client.token)
    assert archive.images.get(user, image).content.digest == digest


@pytest.mark.parametrize("flaw", ["\n", "", "é"])
def test_large_text_that_departs_from_base64_at_its_very_end_is_kept_whole(client: Client, flaw: str) -> None:
    data = base64.b64encode(bytes(range(256)) * 8000).decode().rstrip("=") + flaw
    image = client.image(client.patient(), data)
    assert client("GET", f"/image/{image}/").json()["data"] == data


def test_i_c8_two_identical_creates_give_two_images(client: Client) -> None:
    patient = client.patient()
    first, second = client.image(patient, "QUJD"), client.image(patient, "QUJD")
    assert first != second
    client("DELETE", f"/image/{first}/")
    assert client("GET", f"/image/{second}/").json()["data"] == "QUJD"


def test_i_c9_a_body_beyond_the_limit_is_413_and_leaves_nothing(client: Client, archive: Archive) -> None:
    patient = client.patient()
    padding = LARGEST_BODY - len(json.dumps({"patient": patient, "type": "Xray", "data": ""}))
    fits = b'{"patient": %d, "type": "Xray", "data": "%s"}' % (patient, b"A" * padding)
    assert len(fits) == LARGEST_BODY
    assert client("POST", "/image/", content=fits + b" ").status_code == 413
    assert stored_objects(archive) == 0
    assert client("POST", "/image/", content=fits).status_code == 200


def test_images_created_at_once_are_all_there(client: Client) -> None:
    patient = client.patient()
    body = {"patient": patient, "type": "Xray", "data": "QUJD" * 1000}
    answers = client.together(*[("POST", "/image/", body)] * 8)
    assert sorted(answer.json()["id"] for answer in answers) == client("GET", "/image/").json()


# -- Delete -------------------------------------------------------------------------------------------------------


def test_i_d1_d2_a_deleted_image_is_gone_with_its_bytes(client: Client, archive: Archive) -> None:
    patient = client.patient()
    image, other = client.image(patient), client.image(patient, "other")
    assert client("DELETE", f"/image/{image}/").json() == {}
    assert client("GET", f"/image/{image}/").status_code == 404
    assert client("DELETE", f"/image/{image}/").status_code == 404
    assert client("GET", "/image/").json() == [other]
    assert stored_objects(archive) == 1


def test_i_d2_of_parallel_deletes_one_is_200(client: Client) -> None:
    image = client.image(client.patient())
    answers = client.together(*[("DELETE", f"/image/{image}/", None)] * 6)
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 5


def test_i_d3_without_an_id_it_is_400(client: Client) -> None:
    for path in ("/image/", "/image", "/image//"):
        assert client("DELETE", path).status_code == 400


def test_i_d4_images_are_immutable(client: Client) -> None:
    image = client.image(client.patient())
    for method in ("PUT", "PATCH"):
        assert client(method, f"/image/{image}/", {"type": "Surgery"}).status_code == 405
