"""An archive that predicts with processes that only pretend, a user, and a slide of hers."""

from typing import Any

import pytest

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive
from pinakes.core.slides.records import Slide
from tests.core.analysis.making import put_slide
from tests.core.analysis.pretending import Stage
from tests.core.namespaces.making import SYSTEM


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def archive_options(stage: Stage) -> dict[str, Any]:
    return {"analysis": stage.options()}


@pytest.fixture
def ana(archive: Archive) -> Actor:
    user = archive.users.add(SYSTEM, "ana", "ana@example.org", None, [Kind.SLIDE])
    return Actor("pathomiq", user.id, user.name, user.email, user.created_at, user.kinds)


@pytest.fixture
def slide(archive: Archive, ana: Actor) -> Slide:
    return put_slide(archive, ana, b"invented")
