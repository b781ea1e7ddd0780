"""Contract sections 4, 5 and 8: clinics, stations and registrations."""

from datetime import UTC, datetime
from typing import Any

from pinakes.core.archive import Archive
from pinakes.core.clock import HOUR, from_datetime
from tests.conftest import MovableClock
from tests.contracts.tscharts.conftest import Client
from tests.core.clinic.making import stored_objects

# -- Clinics ------------------------------------------------------------------------------------------------------


def test_k1_dates_come_back_with_zeros_and_the_same_clinic_has_one_id(client: Client) -> None:
    clinic = client.clinic("Tijuana", "2/5/2016", "2/8/2016")
    assert client.clinic("Tijuana", "02/05/2016", "02/08/2016") == clinic
    assert client.clinic("Tijuana", "02/05/2016", "02/09/2016") != clinic
    expected = '{"id":%d,"start":"02/05/2016","end":"02/08/2016","location":"Tijuana"}'
    assert client("GET", f"/clinic/{clinic}/").text == expected % clinic


def test_k1_parallel_creates_of_one_clinic_give_one_id(client: Client) -> None:
    body = {"location": "Ensenada, Baja California, México", "start": "1/1/2026", "end": "1/2/2026"}
    answers = client.together(*[("POST", "/clinic/", body)] * 8)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_k1_what_is_missing_or_no_date_is_400_and_an_early_end_is_taken(client: Client) -> None:
    good = {"location": "Tijuana", "start": "02/05/2016", "end": "02/01/2016"}
    for name in good:
        assert client("POST", "/clinic/", {key: good[key] for key in good if key != name}).status_code == 400
        values: tuple[Any, ...] = (None, 5, [], "\0", "x" * 256)
        for value in values:
            assert client("POST", "/clinic/", good | {name: value}).status_code == 400, (name, value)
    for value in ("2016-02-05", "13/01/2016", "2/30/2016", "02/05/16", "02-05-2016", "٢/5/2016", " 2/5/2016", "0/1/1"):
        assert client("POST", "/clinic/", good | {"start": value}).status_code == 400, value
    assert client("POST", "/clinic/", good).status_code == 200


def test_k2_all_clinics_by_id_and_none_is_404(client: Client) -> None:
    assert client("GET", "/clinic/").status_code == 404
    made = [client.clinic(place) for place in ("Tijuana", "Ensenada", "Tecate")]
    assert [clinic["id"] for clinic in client("GET", "/clinic/").json()] == made


def test_k3_a_date_gives_the_first_clinic_of_that_day_as_one_object(client: Client) -> None:
    first = client.clinic("Tijuana", "02/05/2016", "02/08/2016")
    client.clinic("Ensenada", "02/01/2016", "02/28/2016")
    for day in ("2/5/2016", "02/08/2016", "2/06/2016"):
        assert client("GET", f"/clinic/?date={day}").json()["id"] == first, day
    assert client("GET", "/clinic?date=2/9/2016").json()["location"] == "Ensenada"
    assert client("GET", "/clinic/?date=3/1/2016").status_code == 404
    for day in ("yadda", "2016-02-05", "2/30/2016", "%00", "9" * 5000):
        assert client("GET", f"/clinic/?date={day}").status_code == 400
    assert len(client("GET", "/clinic/?date=").json()) == 2


def test_k4_get_and_delete(client: Client) -> None:
    clinic = client.clinic()
    assert client("DELETE", "/clinic/").status_code == 404
    assert client("DELETE", f"/clinic/{clinic}/").json() == {}
    assert client("DELETE", f"/clinic/{clinic}/").status_code == 404
    assert client("GET", f"/clinic/{clinic}/").status_code == 404


def test_k5_images_go_with_their_clinic_station_or_patient(client: Client, archive: Archive) -> None:
    for owner in ("clinic", "station", "patient"):
        ids: dict[str, int] = {"clinic": client.clinic(), "station": client.station(), "patient": client.patient()}
        image = client.made("/image/", {"type": "Xray", "data": "QUJD", **ids})
        assert client("DELETE", f"/{owner}/{ids[owner]}/").status_code == 200
        assert client("GET", f"/image/{image}/").status_code == 404
        assert stored_objects(archive) == 0
        client("DELETE", f"/patient/{ids['patient']}/")


# -- Stations -----------------------------------------------------------------------------------------------------


def test_s1_a_station_is_one_by_name_and_its_level_is_set_when_given(client: Client) -> None:
    station = client.station("Dental")
    assert client("GET", f"/station/{station}/").content == b'{"id":%d,"name":"Dental","level":1}' % station
    assert client.made("/station/", {"name": "Dental", "level": 3}) == station
    assert client.station("Dental") == station
    assert client("GET", f"/station/{station}/").json()["level"] == 3
    for body in (
        {},
        {"name": None},
        {"name": ""},
        {"name": 5},
        {"name": "a", "level": "x"},
        {"name": "a", "level": True},
    ):
        assert client("POST", "/station/", body).status_code == 400, body


def test_s2_all_stations_and_none_is_404(client: Client) -> None:
    assert client("GET", "/station/").status_code == 404
    made = [client.station(name) for name in ("Dental", "X-Ray")]
    assert [station["id"] for station in client("GET", "/station/").json()] == made
    assert client("GET", "/station/99/").status_code == 404


def test_s3_put_has_the_id_in_its_body(client: Client) -> None:
    station = client.station("Dental")
    assert client("PUT", "/station/", {"id": station, "name": "Dentista"}).json() == {}
    assert client("PUT", "/station/", {"id": str(station), "level": 4}).json() == {}
    assert client("GET", f"/station/{station}/").json() == {"id": station, "name": "Dentista", "level": 4}
    for body in ({}, {"name": "x"}, {"id": station}, {"id": "x", "level": 1}, {"id": station, "level": 10**12}):
        assert client("PUT", "/station/", body).status_code == 400, body
    assert client("PUT", "/station/", {"id": 99, "name": "x"}).status_code == 404
    assert client("DELETE", f"/station/{station}/").json() == {}
    assert client("DELETE", f"/station/{station}/").status_code == 404


# -- Registrations ------------------------------------------------------------------------------------------------


def visit(client: Client) -> dict[str, Any]:
    return {"clinic": client.clinic(), "patient": client.patient()}


def test_r1_a_patient_is_checked_in_with_equal_times_once_a_day(client: Client, clock: MovableClock) -> None:
    clock.now = from_datetime(datetime(2026, 2, 5, 20, 30, tzinfo=UTC))
    body = visit(client)
    registration = client.made("/register/", body)
    assert client("GET", f"/register/{registration}/").json() == {
        "id": registration,
        **body,
        "timein": "2026-02-05T12:30:00.000000",
        "timeout": "2026-02-05T12:30:00.000000",
        "state": "Checked In",
    }
    assert client("POST", "/register/", body).status_code == 409
    clock.advance(11 * HOUR)
    assert client("POST", "/register/", body).status_code == 409
    clock.advance(HOUR)
    assert client("POST", "/register/", body | {"state": "Checked Out"}).status_code == 200


def test_r1_of_parallel_registrations_one_is_200(client: Client) -> None:
    answers = client.together(*[("POST", "/register/", visit(client))] * 6)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


def test_r1_bad_values_are_400_and_unknown_ones_404(client: Client) -> None:
    body = visit(client)
    for changes in ({"state": ""}, {"state": None}, {"state": "checked in"}, {"clinic": "x"}, {"patient": None}):
        assert client("POST", "/register/", body | changes).status_code == 400, changes
    for name in body:
        assert client("POST", "/register/", body | {name: 99}).status_code == 404
        assert client("POST", "/register/", {name: body[name]}).status_code == 400


def test_r2_found_by_clinic_and_patient_and_the_unknown_is_400(client: Client) -> None:
    body = visit(client)
    other = client.patient(first="Eva")
    assert client("GET", f"/register/?clinic={body['clinic']}").status_code == 404
    first = client.made("/register/", body)
    second = client.made("/register/", body | {"patient": other})
    for query, expected in (
        ("", [first, second]),
        (f"?clinic={body['clinic']}", [first, second]),
        (f"?clinic={body['clinic']}&patient={other}", [second]),
    ):
        assert [found["id"] for found in client("GET", f"/register{query}").json()] == expected
    for query in ("clinic=99", "patient=99", "clinic=x", "patient=0", "patient=" + "9" * 5000):
        assert client("GET", f"/register/?{query}").status_code == 400
    assert client("GET", "/register/99/").status_code == 404


def test_r3_checking_out_and_in_sets_the_times(client: Client, clock: MovableClock) -> None:
    registration = client.made("/register/", visit(client))
    before = client("GET", f"/register/{registration}/").json()
    clock.advance(HOUR)
    assert client("PUT", f"/register/{registration}/", {"state": "Checked Out"}).json() == {}
    out = client("GET", f"/register/{registration}/").json()
    assert (out["timein"], out["state"]) == (before["timein"], "Checked Out")
    assert out["timeout"] > before["timeout"]
    clock.advance(HOUR)
    client("PUT", f"/register/{registration}/", {"state": "Checked In"})
    again = client("GET", f"/register/{registration}/").json()
    assert (again["timeout"], again["timein"] > out["timeout"]) == (out["timeout"], True)


def test_r3_bad_states_and_ids(client: Client) -> None:
    registration = client.made("/register/", visit(client))
    for body in ({}, {"state": "gone"}, {"state": None}, {"state": 5}):
        assert client("PUT", f"/register/{registration}/", body).status_code == 400
    assert client("PUT", "/register/99/", {"state": "Checked In"}).status_code == 404
    for path in ("/register/", "/register//"):
        assert client("DELETE", path).status_code == 400
        assert client("PUT", path, {"state": "Checked In"}).status_code == 400
    assert client("DELETE", f"/register/{registration}/").json() == {}
    assert client("DELETE", f"/register/{registration}/").status_code == 404
