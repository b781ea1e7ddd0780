"""A tablet puts a 6 MB photograph in, and takes it out again, through tscharts."""

import base64
import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench import client
from bench.memory import watched
from bench.report import Row
from bench.servers import Pinakes, Running

_BASE = "/tscharts/v1"


@dataclass(frozen=True, slots=True)
class Tablet:
    """Signed in, with a patient before it at a clinic. token: good in every API."""

    server: Running
    token: str
    patient_id: int
    clinic_id: int

    @classmethod
    def signed_in(cls, server: Running, password: str) -> "Tablet":
        token = _post(server, "/login/", {"username": "tablet", "password": password}, "")["token"]
        clinic = {"location": "Ensenada", "start": "1/5/2026", "end": "1/7/2026"}
        clinic_id = _post(server, "/clinic/", clinic, token)["id"]
        return cls(server, token, _post(server, "/patient/", _patient(), token)["id"], clinic_id)

    def put(self, photograph: bytes) -> tuple[int, float]:
        """The id of the image, and the seconds that it took to put it in."""
        body: dict[str, object] = {"type": "Headshot", "patient": self.patient_id, "clinic": self.clinic_id}
        sent = json.dumps(body | {"data": base64.b64encode(photograph).decode()}).encode()
        answer = client.send(self.server.address, "POST", f"{_BASE}/image/", sent, self._headers)
        if answer.status != 200:
            raise RuntimeError(f"a photograph was answered {answer.status}: {answer.body[:300]!r}")
        return json.loads(answer.body)["id"], answer.seconds

    def take(self, image_id: int) -> float:
        """The seconds that it took to take an image out."""
        return client.receive_file(self.server.address, f"{_BASE}/image/{image_id}/", self._headers)[1]

    @property
    def _headers(self) -> dict[str, str]:
        return _headers(self.token)


def measure(archive: Pinakes, password: str, size_bytes: int, runs: int) -> list[Row]:
    """One client, one photograph after another, each durable when it is answered."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(archive.serving(workers=1))
        peak = stack.enter_context(watched(server.pid))
        tablet = Tablet.signed_in(server, password)
        made, taken = [], []
        for _ in range(runs):
            image_id, seconds = tablet.put(b"\xff\xd8\xff" + os.urandom(size_bytes - 3))
            made.append(seconds * 1000)
            taken.append(tablet.take(image_id) * 1000)
        resident = peak.resident_bytes
    size = f"{size_bytes / 1e6:g} MB photograph, {size_bytes * 4 / 3e6:.1f} MB of JSON"
    return [
        Row("tscharts create", "Pinakes", made, "ms", resident, f"{size}; target under 100 ms, durable"),
        Row("tscharts get", "Pinakes", taken, "ms", resident, f"{size}; with access check and audit"),
    ]


def _post(server: Running, path: str, body: Mapping[str, object], token: str) -> dict[str, Any]:
    answer = client.send(server.address, "POST", _BASE + path, json.dumps(body).encode(), _headers(token))
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {answer.body!r}")
    decoded: dict[str, Any] = json.loads(answer.body)
    return decoded


def _headers(token: str) -> dict[str, str]:
    return {"Content-Type": "application/json"} | ({"Authorization": f"Token {token}"} if token else {})


def _patient() -> dict[str, str]:
    texts = (
        "paternal_last maternal_last first middle suffix prefix street1 street2 city colonia phone1 phone2 email "
        "emergencyfullname emergencyphone emergencyemail curp"
    )
    return dict.fromkeys(texts.split(), "invented") | {"dob": "1/2/1990", "gender": "Female", "state": "Sonora"}
