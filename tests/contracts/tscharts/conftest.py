"""The real application over a real archive, spoken to in HTTP: on SQLite with a disk, on PostgreSQL with S3."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from pinakes.apis.tscharts import API
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.archive import Archive
from tests.contracts.serving import serving

ZONE = timezone(timedelta(hours=-8))
SYSTEM = Actor(api="system")
LARGEST_BODY = 4 * 1024 * 1024

DETAILS: dict[str, Any] = {
    "paternal_last": "Quintero",
    "maternal_last": "Salas",
    "first": "Inés",
    "middle": "",
    "suffix": "",
    "prefix": "",
    "dob": "03/09/2011",
    "gender": "Female",
    "street1": "",
    "street2": "",
    "city": "Tecate",
    "colonia": "",
    "state": "Nuevo León",
    "phone1": "",
    "phone2": "",
    "email": "",
    "emergencyfullname": "",
    "emergencyphone": "",
    "emergencyemail": "",
    "curp": "",
    "oldid": -1,
}


class Client:
    """A client of tscharts, as the Python library is one: JSON in bodies, a token in the header."""

    def __init__(self, http: httpx.AsyncClient, loop: asyncio.AbstractEventLoop, token: str) -> None:
        self.token = token
        self._http = http
        self._loop = loop

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> httpx.Response:
        """One request below /tscharts/v1. token: None sends none. body is sent as JSON, content as it is."""
        sent = {"Content-Type": "application/json"}
        if token is not None:
            sent["Authorization"] = f"Token {token or self.token}"
        if body is not None:
            content = msgspec.json.encode(body)
        return self.send(method, f"/tscharts/v1{path}", content, sent | dict(headers or {}))

    def send(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Exactly this."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
        request = self._http.build_request(method, path, content=content, headers=raw)
        return self._loop.run_until_complete(self._http.send(request))

    def together(self, *requests: tuple[str, str, Any]) -> list[httpx.Response]:
        """Requests at the same time: method, path, JSON body."""

        async def one(method: str, path: str, body: Any) -> httpx.Response:
            content = None if body is None else msgspec.json.encode(body)
            headers = {"Authorization": f"Token {self.token}"}
            return await self._http.request(method, f"/tscharts/v1{path}", content=content, headers=headers)

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(one(*request) for request in requests))

        return self._loop.run_until_complete(all_of_them())

    # -- Things made over the wire --------------------------------------------------------------------------------

    def made(self, path: str, body: Any) -> int:
        """The id of what a POST makes."""
        answer = self("POST", path, body)
        assert (answer.status_code, list(answer.json())) == (200, ["id"]), answer.text
        made: int = answer.json()["id"]
        return made

    def patient(self, **changes: Any) -> int:
        return self.made("/patient/", DETAILS | changes)

    def clinic(self, location: str = "Tijuana", start: str = "02/05/2016", end: str = "02/08/2016") -> int:
        return self.made("/clinic/", {"location": location, "start": start, "end": end})

    def station(self, name: str = "Dental") -> int:
        return self.made("/station/", {"name": name})

    def image(self, patient: int, data: str = "ABCDEFG", type: str = "Xray", **more: Any) -> int:
        return self.made("/image/", {"patient": patient, "type": type, "data": data, **more})


@pytest.fixture
def token(archive: Archive) -> str:
    """The token of a volunteer of the clinic, without a limit; there is no password."""
    archive.users.add(SYSTEM, "volunteer", "volunteer@example.org", None, [Kind.CLINICAL])
    return make_token(archive, "volunteer")


@pytest.fixture
def client(archive: Archive, token: str) -> Iterator[Client]:
    with connected(archive, token) as client:
        yield client


@contextmanager
def connected(archive: Archive, token: str) -> Iterator[Client]:
    """A client of the application over an archive."""
    folder = Path(tempfile.gettempdir())
    with serving(API, archive, folder, max_json_bytes=LARGEST_BODY, time_zone=ZONE) as (app, loop):
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
        http = httpx.AsyncClient(transport=transport, base_url="http://archive.example")
        yield Client(http, loop, token)
        loop.run_until_complete(http.aclose())


def make_token(archive: Archive, name: str, scope: str | None = None) -> str:
    parsed = None if scope is None else Scope.parse(scope)
    return archive.credentials.create(SYSTEM, name, scope=parsed, expires_at=None, label="")
