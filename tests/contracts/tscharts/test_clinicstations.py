"""Contract section 6: clinic stations."""

from datetime import UTC, datetime
from typing import Any

from pinakes.core.clock import MINUTE, from_datetime
from tests.conftest import MovableClock
from tests.contracts.tscharts.conftest import Client


def place(client: Client, **more: Any) -> dict[str, Any]:
    """The body of a create."""
    station = client.made("/station/", {"name": "Dental", "level": 4})
    return {"clinic": client.clinic(), "station": station, "name": "Dental 1", "name_es": "Dentista 1", **more}


def test_t1_what_is_not_given_has_its_default(client: Client, clock: MovableClock) -> None:
    clock.now = from_datetime(datetime(2026, 2, 5, 20, 30, tzinfo=UTC))
    body = place(client)
    for more in ({}, {"level": None}):
        made = client.made("/clinicstation/", body | more)
        assert client("GET", f"/clinicstation/{made}/").json() == {
            "id": made,
            **body,
            "active": False,
            "away": True,
            "finished": False,
            "level": 4,
            "awaytime": 30,
            "willreturn": "2026-02-05T13:00:00.000000",
            "activepatient": None,
            "nextpatient": None,
        }


def test_t1_everything_can_be_given(client: Client) -> None:
    patient = client.patient()
    more = {"active": True, "away": False, "finished": True, "level": 9, "awaytime": 5, "nextpatient": patient}
    made = client.made("/clinicstation/", place(client, **more, activepatient=str(patient)))
    assert client("GET", f"/clinicstation/{made}").json().items() >= {**more, "activepatient": patient}.items()


def test_t1_bad_values_are_400_and_unknown_ones_404(client: Client) -> None:
    body = place(client)
    for name in body:
        assert client("POST", "/clinicstation/", {key: body[key] for key in body if key != name}).status_code == 400
    bad: tuple[dict[str, Any], ...] = (
        {"active": "true"},
        {"away": 1},
        {"finished": None},
        {"clinic": "x"},
        {"station": 1.5},
        {"activepatient": "x"},
        {"awaytime": "soon"},
        {"awaytime": -1},
        {"awaytime": 10**30},
        {"level": [1]},
        {"name": None},
        {"name_es": "\0"},
    )
    for changes in bad:
        assert client("POST", "/clinicstation/", body | changes).status_code == 400, changes
    for name in ("clinic", "station", "activepatient", "nextpatient"):
        assert client("POST", "/clinicstation/", body | {name: 99}).status_code == 404, name


def test_t2_a_clinic_must_be_named(client: Client) -> None:
    clinic = client.clinic()
    for query in ("", "?clinic=", "?clinic=abc", "?active=true"):
        assert client("GET", f"/clinicstation/{query}").status_code == 400, query
    for query in ("?clinic=99", "?clinic=0", f"?clinic={clinic}"):
        assert client("GET", f"/clinicstation/{query}").status_code == 404, query


def test_t2_they_come_by_station_and_id_and_flags_have_two_spellings(client: Client) -> None:
    body = place(client)
    xray = client.station("X-Ray")
    last = client.made("/clinicstation/", body | {"station": xray, "active": True})
    first = client.made("/clinicstation/", body | {"level": 2})
    second = client.made("/clinicstation/", body | {"away": False})
    for query, expected in (
        ("", [first, second, last]),
        ("&active=true", [last]),
        ("&active=True", [last]),
        ("&active=False&away=true", [first]),
        ("&away=false", [second]),
        ("&level=2", [first]),
    ):
        found = client("GET", f"/clinicstation?clinic={body['clinic']}{query}").json()
        assert [one["id"] for one in found] == expected, query
    assert client("GET", f"/clinicstation/?clinic={body['clinic']}&finished=true").status_code == 404
    for query in ("active=TRUE", "away=1", "finished=yadda", "level=high", "level=" + "9" * 5000):
        assert client("GET", f"/clinicstation/?clinic={body['clinic']}&{query}").status_code == 400, query[:20]


def test_t3_put_sets_what_is_given(client: Client, clock: MovableClock) -> None:
    patient = client.patient()
    made = client.made("/clinicstation/", place(client, activepatient=patient))
    path = f"/clinicstation/{made}/"
    before = client("GET", path).json()
    assert client("PUT", path, {"active": True, "activepatient": None, "colour": 1}).json() == {}
    assert client("GET", path).json() == before | {"active": True, "activepatient": None}
    clock.advance(MINUTE)
    client("PUT", path, {"away": True, "awaytime": 60})
    assert client("GET", path).json()["willreturn"] > before["willreturn"]


def test_t3_bad_changes_and_ids(client: Client) -> None:
    made = client.made("/clinicstation/", place(client))
    bad: tuple[dict[str, Any], ...] = (
        {},
        {"colour": 1},
        {"active": "x"},
        {"level": None},
        {"name": 5},
        {"clinic": "x"},
    )
    for body in bad:
        assert client("PUT", f"/clinicstation/{made}/", body).status_code == 400, body
    assert client("PUT", "/clinicstation/99/", {"active": True}).status_code == 404
    assert client("PUT", f"/clinicstation/{made}/", {"nextpatient": 99}).status_code == 404
    assert client("PUT", "/clinicstation/", {"active": True}).status_code == 400
    assert client("DELETE", "/clinicstation/").status_code == 400
    assert client("DELETE", f"/clinicstation/{made}/").json() == {}
    assert client("DELETE", f"/clinicstation/{made}/").status_code == 404
