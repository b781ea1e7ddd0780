"""In whose name the entrances act that nobody logs in at."""

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive

API = "cli"


def operator() -> Actor:
    """Who acts when nobody is named: whoever may open the data folder may see and change everything.

    No user, so events name nobody; `cli` tells where they came from.
    """
    return Actor(API, name="system", kinds=frozenset(Kind), is_staff=True)


def acting_as(archive: Archive, name: str | None) -> Actor:
    """The user of that name, with all their rights; the operator if none is given. Raises UserUnknown."""
    if name is None:
        return operator()
    user = archive.users.get(name)
    return Actor(API, user.id, user.name, user.email, user.created_at, user.kinds, is_staff=user.is_staff)
