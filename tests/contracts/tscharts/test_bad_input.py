"""Whatever is sent, the answer is a clear refusal in this API's shape and nothing has changed."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
from sqlalchemy import func, select

from pinakes.core.archive import Archive
from pinakes.core.db.schema import clinics, clinicstations, images, patients, registrations, stations
from tests.contracts.tscharts.conftest import DETAILS, Client
from tests.core.clinic.making import stored_objects

TABLES = (clinics, stations, clinicstations, patients, registrations, images)
DIGITS = b"9" * 5000
SOME_DETAILS = {name: DETAILS[name] for name in ("first", "curp", "dob", "gender", "state", "oldid")}

NASTY: tuple[Any, ...] = (
    *(None, True, 1.5, -1, 2**63, 10**30, -(10**30), 1e308, [], {}, [[[]]], {"id": 1}),
    *("\0", "a\0b", "x" * 100_000, "9" * 5000, "-" + "9" * 5000, "%s", "'; DROP TABLE images; --", "\uffff\u202e"),
)
RAW = (
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"patient": %s}' % DIGITS,
    b'{"patient": 1e%s}' % DIGITS,
    b'{"patient": NaN, "level": Infinity}',
    b'{"name": "\xff\xfe"}',
    b'{"name": "\xed\xa0\x80"}',
    b'{"name": "\\ud800"}',
    b'{"data": "\\ud800", "type": "Xray"}',
    b'{"data": "\\u12"}',
    b'{"data": "\x00"}',
    b'{"data": "QUJD',
    b'\xef\xbb\xbf{"name": "x"}',
    b'{"name": "x",}',
    b"{'name': 'x'}",
    b'{"%s": ' % (b"k" * 200_000),
)


def bodies(client: Client) -> dict[tuple[str, str], dict[str, Any]]:
    """A good body for each URL that takes one."""
    clinic, station, patient = client.clinic(), client.station(), client.patient()
    client.made("/register/", {"clinic": clinic, "patient": patient})
    place = {"clinic": clinic, "station": station, "name": "a", "name_es": "b", "active": True, "awaytime": 5}
    client.made("/clinicstation/", place)
    return {
        ("POST", "/clinic/"): {"location": "a", "start": "1/1/2020", "end": "1/1/2020"},
        ("POST", "/station/"): {"name": "Dental", "level": 1},
        ("PUT", "/station/"): {"id": station, "name": "Dental"},
        ("POST", "/clinicstation/"): place | {"level": 5, "activepatient": patient, "nextpatient": patient},
        ("PUT", "/clinicstation/1/"): place,
        ("POST", "/patient/"): DETAILS,
        ("PUT", "/patient/1/"): SOME_DETAILS,
        ("POST", "/register/"): {"clinic": clinic, "patient": patient, "state": "Checked In"},
        ("PUT", "/register/1/"): {"state": "Checked In"},
        ("POST", "/image/"): {"patient": patient, "clinic": clinic, "station": station, "type": "Xray", "data": ""},
        ("POST", "/login/"): {"username": "volunteer", "password": "wrong"},
    }


def counts(archive: Archive) -> list[int]:
    with archive.database.read() as connection:
        rows = [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]
    return [*rows, stored_objects(archive)]


def assert_clear(answer: httpx.Response, what: object) -> None:
    assert answer.status_code < 500, (what, answer.text[:200])
    assert answer.headers["content-type"] == "application/json", what
    body = answer.json()
    if answer.status_code >= 400:
        assert list(body) == ["detail"], what
        assert isinstance(body["detail"], str), what
        assert len(body["detail"]) < 500, what


def changed(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in SOME_DETAILS if body is DETAILS else body:
        for value in NASTY:
            yield body | {name: value}


def test_nasty_values_in_every_member_are_answered_clearly(client: Client) -> None:
    for (method, path), good in bodies(client).items():
        if path == "/login/":
            continue
        for body in changed(good):
            assert_clear(client(method, path, body), (method, path, str(body)[:300]))


def test_broken_bodies_are_refused_and_nothing_changes(client: Client, archive: Archive) -> None:
    urls = bodies(client)
    before = counts(archive)
    for method, path in urls:
        for content in RAW:
            answer = client(method, path, content=content)
            assert_clear(answer, (method, path, content[:40]))
            assert 400 <= answer.status_code < 500, (method, path, content[:40])
    assert counts(archive) == before


def test_numbers_of_5000_digits_in_every_member_are_refused(client: Client, archive: Archive) -> None:
    urls = bodies(client)
    before = counts(archive)
    for (method, path), good in urls.items():
        for name in good:
            rest = msgspec.json.encode({key: value for key, value in good.items() if key != name})[1:]
            content = b'{"%s":%s' % (name.encode(), DIGITS) + (b"," + rest if rest != b"}" else rest)
            assert_clear(client(method, path, content=content), (method, path, name))
    assert counts(archive) == before


def test_nasty_paths_and_queries_are_answered_clearly(client: Client) -> None:
    bodies(client)
    nasty = (
        "%FF",
        "%00",
        "%ED%A0%80",
        "..",
        "%2e%2e%2f",
        "1;x",
        "%0d%0aX:1",
        "%F0%9F%93%B7",
        "9" * 5000,
        "%",
        "%zz",
        "*",
    )
    for text in nasty:
        for path in (f"/{text}", f"/image/{text}", f"/patient/{text}/", f"/image/1/{text}"):
            for method in ("GET", "DELETE"):
                assert_clear(client(method, path), (method, path))
        for name in ("patient", "sort", "newest", "type", "clinic", "name", "dob", "date", "active", "first", text):
            for path in ("/image/", "/patient/", "/clinic/", "/clinicstation/", "/register/"):
                assert_clear(client("GET", f"{path}?{name}={text}"), (path, name, text))


def test_nasty_authorization_is_401(client: Client) -> None:
    for value in (b"Token \xff", b"Token " + b"x" * 9000, b"\xff", b"Token \xc3\xa9", b"Token\ta\tb"):
        answer = client.send("GET", "/tscharts/v1/clinic/", headers={"Authorization": value.decode("latin-1")})
        assert answer.status_code == 401
