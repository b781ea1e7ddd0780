"""An archive that imports from loopback, and users of machine images."""

from dataclasses import replace
from typing import Any

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from tests.core.imports.fetched import LIMITS
from tests.core.namespaces.making import make_user

MAX_BYTES = 3 * 1024 * 1024


@pytest.fixture
def archive_options() -> dict[str, Any]:
    return {"import_limits": replace(LIMITS, max_bytes=MAX_BYTES)}


@pytest.fixture
def ana(archive: Archive) -> Actor:
    return make_user(archive, "ana")


@pytest.fixture
def ben(archive: Archive) -> Actor:
    return make_user(archive, "ben")
