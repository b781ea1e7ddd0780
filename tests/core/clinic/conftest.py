"""An assembled archive and a volunteer of its clinic."""

import pytest

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive

SYSTEM = Actor(api="system")


@pytest.fixture
def actor(archive: Archive) -> Actor:
    user = archive.users.add(SYSTEM, "volunteer", "volunteer@example.org", None, [Kind.CLINICAL])
    return Actor("tscharts", user.id, user.name, user.email, user.created_at, user.kinds)
