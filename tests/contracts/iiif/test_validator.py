"""The public validator of the Image API, over HTTP, against a real server (`iiif-validator-ng`)."""

import importlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pinakes.core import archive as core
from pinakes.core.actor import Actor, Kind
from tests.conftest import Backend
from tests.core.clinic.making import make_image, make_patient
from tests.process.conftest import ended
from tests.process.serving import Archive

pytestmark = pytest.mark.slow

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)

KNOWN = ("Size greater than 100% should only work with the ^ notation", "'!2000,3000'")
"""The check, and the one thing in it, that is done otherwise, as the specification has it (section 4.2): see README."""


class Target(NamedTuple):
    """A picture, as it is told to the validator."""

    base: str
    identifier: str


@pytest.fixture
def target(backend: Backend, tmp_path: Path) -> Iterator[Target]:
    """The validator's own picture on a server of its own, seen with a view link, which needs no header."""
    served = Archive(backend, tmp_path)
    token = served.add_user("ana", Kind.CLINICAL)
    archive = core.assemble(backend.database, backend.store, journal_directory=tmp_path / "journals")
    actor: Actor = archive.credentials.actor("iiif", token)
    content = (files("iiif_validator") / "validation_image.png").read_bytes()
    image_id = make_image(archive, actor, make_patient(archive, actor), content=content)
    link = archive.view_links.create(actor, image_id, 600)
    archive.renditions.close()
    for _ in ended(served):
        served.start()
        yield Target(f"http://127.0.0.1:{served.port}/iiif/view/{link}/3", str(image_id))


@ONE_BACKEND
def test_the_public_validator_finds_level_2_as_it_should_be(target: Target) -> None:
    """Every check that is due for level 2 and the further features that info.json names, and the one of caching.

    The validator's own runner needs a newer Python; its rule which checks are due is told here once more.
    """
    checks: Any = importlib.import_module("iiif_validator.tests.test")
    server = checks.TargetServer(target.base, target.identifier, checks.IIIFVersion.V3)
    features = server.feature_set()
    assert features.compliance_level == checks.ComplianceLevel.LEVEL_2
    due = [check for check in checks.get_tests(server.version) if is_due(checks, check, features)]
    assert len(due) >= 35
    failures = []
    for check in due:
        results = check.run(server)
        for result in results if isinstance(results, list) else [results]:
            if not result.success:
                failures.append((check.name, result.details))
    assert [name for name, _ in failures] == [KNOWN[0]], failures
    assert KNOWN[1] in failures[0][1]


def is_due(checks: Any, check: Any, features: Any) -> bool:
    level = check.compliance_level
    if isinstance(level, dict):
        level = level[features.version]
    if level <= features.compliance_level or check.__name__ == "HttpCachingTest":
        return True
    names = {check.extra_name} if isinstance(check.extra_name, str) else set(check.extra_name or ())
    named = {
        checks.TestCategory.FORMAT: features.extra_formats,
        checks.TestCategory.QUALITY: features.extra_qualities,
    }
    return bool(names & {*named.get(check.category, ()), *features.extra_features})
