"""An assembled archive and a few users of machine images."""

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from tests.core.namespaces.making import make_user


@pytest.fixture
def ana(archive: Archive) -> Actor:
    return make_user(archive, "ana")


@pytest.fixture
def ben(archive: Archive) -> Actor:
    return make_user(archive, "ben")
