"""The OpenAPI document, and the API held to it by generated requests."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pinakes.core.actor import Kind
from tests.contracts.native.conftest import BASE, Client, World
from tests.contracts.native.test_annotations import make_slide, send

Case: TypeAlias = schemathesis.Case[Any]

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def own_schema(lasting_world: World) -> schemathesis.BaseSchema:
    """The document, and the application to be asked."""
    ana = lasting_world.user("ana", is_staff=True)
    ana.filled(ana.image()["id"])
    return schemathesis.openapi.from_asgi("/pinakes/v1/openapi.json", lasting_world.app)


SUBJECTS = (
    "vm-images",
    "versions",
    "content",
    "icons",
    "shares",
    "groups",
    "tags",
    "jobs",
    "sessions",
    "images",
    "view-links",
    "annotations",
)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_requests_as_the_document_says_are_answered_as_it_says(
    own_schema: schemathesis.BaseSchema, lasting_world: World, subject: str
) -> None:
    """No 5xx, and every status, media type and body is one the document tells of. What paths name is there."""
    client = lasting_world.user("ana") if subject != "annotations" else lasting_world.user("lab", Kind.SLIDE)

    def check(case: Case) -> None:
        if subject == "annotations":
            case.path_parameters.update(_annotation(lasting_world, client, case.path_parameters))
        else:
            case.path_parameters.update(_things(client, case.path_parameters))
        response = case.call(headers={"Authorization": f"Bearer {client.token}"})
        case.validate_response(response, checks=CHECKS)

    _ask(own_schema, subject, GenerationMode.POSITIVE, check)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_requests_unlike_the_document_are_refused_as_it_says(
    own_schema: schemathesis.BaseSchema, lasting_world: World, subject: str
) -> None:
    headers = {"Authorization": f"Bearer {lasting_world.user('ana').token}"}

    def check(case: Case) -> None:
        case.validate_response(case.call(headers=headers), checks=[*CHECKS, negative_data_rejection])

    _ask(own_schema, subject, GenerationMode.NEGATIVE, check)


def _ask(schema: schemathesis.BaseSchema, subject: str, mode: GenerationMode, check: Callable[[Case], None]) -> None:
    """A few generated requests for every operation of a subject."""
    found = list(schema.include(tag=subject).get_all_operations())
    assert found
    for result in found:
        assert isinstance(result, Ok), result
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not (operation.body or list(operation.iter_parameters())):
            continue  # there is nothing in it to be spoilt
        bounded = settings(
            max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
        )
        bounded(given(case=operation.as_strategy(generation_mode=mode))(check))()


def _things(client: Client, wanted: Iterable[str]) -> dict[str, Any]:
    """New things for the ids in a path, that may be spoilt."""
    found: dict[str, Any] = {}
    for name in sorted(wanted):
        match name:
            case "image_id":
                found[name] = client.image()["id"]
            case "version_id":
                found[name] = client.version(found["image_id"])["id"]
            case "group_id":
                found[name] = client.post("/groups", json={"name": token_hex(8)}).json()["id"]
            case "username":
                found[name] = "ana"
            case "job_id":
                version = client.version(client.image()["id"])
                path = f"/vm-images/{version['image_id']}/versions/{version['id']}/import"
                assert client.post(path, json={"url": "https://files.example/a"}).status_code == 202
                found[name] = client.get("/jobs?limit=1").json()["items"][0]["id"]
    return found


def _annotation(world: World, client: Client, wanted: Iterable[str]) -> dict[str, Any]:
    """A new slide and the number of its only annotation, for a path."""
    slide = make_slide(world, client)
    send(client, slide)
    found = {"image_id": slide, "number": 1}
    return {name: found[name] for name in wanted}


def test_every_operation_is_told_of_with_its_errors(lasting_world: World) -> None:
    document = lasting_world.stranger().get("/openapi.json").json()
    assert document["servers"] == [{"url": BASE}]
    operations = [(path, method) for path, methods in document["paths"].items() for method in methods]
    assert len(operations) == 55
    for path, method in operations:
        told = document["paths"][path][method]
        assert told["summary"], (path, method)
        refusals = {code for code in told["responses"] if int(code) >= 400}
        assert {"400", "401", "403", "503"} <= refusals, (path, method)
        names_one = "{" in path or path == "/study-runs"  # whose body names a study
        assert ("404" in refusals) is names_one, (path, method)
        for code in refusals:
            (media_type,) = told["responses"][code]["content"]
            assert media_type == "application/problem+json"
    assert "422" not in json.dumps(document)
    assert "ValidationError" not in document["components"]["schemas"]


def test_no_page_with_scripts_from_elsewhere_is_served(lasting_world: World) -> None:
    """DESIGN section 5."""
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect", "/"):
        assert lasting_world.stranger().get(path).status_code == 404


@pytest.mark.slow
def test_neither_the_command_line_nor_the_start_of_the_server_waits_for_fastapi() -> None:
    code = (
        "import sys; import pinakes.cli.app; early = 'starlette' in sys.modules; "
        "from pinakes.server.application import found_apis; "
        "assert 'native' in [api.name for api in found_apis()]; print(early, 'fastapi' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]
