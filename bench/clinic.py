"""A tablet puts a 6 MB photograph in, and takes it out again, through tscharts."""

import base64
import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from bench import client
from bench.memory import watched
from bench.report import Row
from bench.servers import Pinakes, Running

_BASE = "/tscharts/v1"


def measure(archive: Pinakes, password: str, size_bytes: int, runs: int) -> list[Row]:
    """One client, one photograph after another, each durable when it is answered."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(archive.serving(workers=1))
        peak = stack.enter_context(watched(server.pid))
        token = _post(server, "/login/", {"username": "tablet", "password": password}, "")["token"]
        clinic = {"location": "Ensenada", "start": "1/5/2026", "end": "1/7/2026"}
        clinic_id = _post(server, "/clinic/", clinic, token)["id"]
        patient_id = _post(server, "/patient/", _patient(), token)["id"]
        made, taken = [], []
        for _ in range(runs):
            photograph = {"type": "Headshot", "patient": patient_id, "clinic": clinic_id}
            photograph["data"] = base64.b64encode(b"\xff\xd8\xff" + os.urandom(size_bytes - 3)).decode()
            body = json.dumps(photograph).encode()
            headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
            answer = client.send(server.address, "POST", f"{_BASE}/image/", body, headers)
            image_id = json.loads(answer.body)["id"]
            made.append(answer.seconds * 1000)
            taken.append(client.receive_file(server.address, f"{_BASE}/image/{image_id}/", headers)[1] * 1000)
        resident = peak.resident_bytes
    size = f"{size_bytes / 1e6:g} MB photograph, {len(body) / 1e6:.1f} MB of JSON"
    return [
        Row("tscharts create", "Pinakes", made, "ms", resident, f"{size}; target under 100 ms, durable"),
        Row("tscharts get", "Pinakes", taken, "ms", resident, f"{size}; with access check and audit"),
    ]


def _post(server: Running, path: str, body: Mapping[str, object], token: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Token {token}"} if token else {})
    answer = client.send(server.address, "POST", _BASE + path, json.dumps(body).encode(), headers)
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {answer.body!r}")
    decoded: dict[str, Any] = json.loads(answer.body)
    return decoded


def _patient() -> dict[str, str]:
    texts = (
        "paternal_last maternal_last first middle suffix prefix street1 street2 city colonia phone1 phone2 email "
        "emergencyfullname emergencyphone emergencyemail curp"
    )
    return dict.fromkeys(texts.split(), "invented") | {"dob": "1/2/1990", "gender": "Female", "state": "Sonora"}
