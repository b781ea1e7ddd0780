"""View links: what they let one do, and how soon not any more."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from pinakes.core import audit
from pinakes.core.access.view_links import MOST_SECONDS, ViewLinks
from pinakes.core.actor import Actor, Kind, Permission, Resource, Scope
from pinakes.core.archive import Archive, assemble
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.clock import DAY, SECOND
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import secrets
from pinakes.core.errors import ImageUnknown, InvalidFields, ScopeMissing, Unauthenticated
from tests.conftest import Backend, MovableClock

SYSTEM = Actor(api="cli")


def user(archive: Archive, name: str = "ana", scope: str | None = None, expires_at: int | None = None) -> Actor:
    """A user, made if need be, as a new token tells of them."""
    if name not in {known.name for known in archive.users.list()}:
        archive.users.add(SYSTEM, name, f"{name}@example.org", None, [Kind.MACHINE])
    parsed = None if scope is None else Scope.parse(scope)
    token = archive.credentials.create(SYSTEM, name, scope=parsed, expires_at=expires_at, label="")
    return archive.credentials.actor("native", token)


def image_of(archive: Archive, actor: Actor) -> int:
    return archive.registration.create(actor, NewMachine("debian"))


@pytest.fixture
def ana(archive: Archive) -> Actor:
    return user(archive)


@pytest.fixture
def image_id(archive: Archive, ana: Actor) -> int:
    return image_of(archive, ana)


def is_refused(archive: Archive, link: str, image_id: int) -> bool:
    try:
        archive.view_links.actor(link, image_id)
    except Unauthenticated:
        return True
    return False


def test_a_link_stands_for_its_maker_who_may_only_read(archive: Archive, ana: Actor, image_id: int) -> None:
    link = archive.view_links.create(ana, image_id, 60)
    seen = archive.view_links.actor(link, image_id)
    assert (seen.user_id, seen.token_id, seen.kinds, seen.api) == (ana.user_id, ana.token_id, ana.kinds, "view-link")
    assert [seen.may(Resource.IMAGE, permission) for permission in Permission] == [True, False, False]
    assert not seen.may(Resource.NAMESPACE, Permission.READ)
    assert (ana.may_identify, seen.may_identify) == (True, False)
    assert archive.images.get(seen, image_id).id == image_id


def test_a_link_is_for_one_image(archive: Archive, ana: Actor, image_id: int) -> None:
    link = archive.view_links.create(ana, image_id, 60)
    other = image_of(archive, ana)
    assert is_refused(archive, link, other)
    assert not is_refused(archive, link, image_id)


def test_a_link_ends_to_the_microsecond(archive: Archive, ana: Actor, image_id: int, clock: MovableClock) -> None:
    link = archive.view_links.create(ana, image_id, 60)
    clock.advance(60 * SECOND - 1)
    assert not is_refused(archive, link, image_id)
    clock.advance(1)
    assert is_refused(archive, link, image_id)


def test_a_link_ends_with_the_token_it_was_made_with(archive: Archive, image_id: int, clock: MovableClock) -> None:
    revoked, short = user(archive), user(archive, expires_at=clock.now + 30 * SECOND)
    links = [archive.view_links.create(actor, image_id, 3600) for actor in (revoked, short)]
    assert [is_refused(archive, link, image_id) for link in links] == [False, False]
    assert revoked.token_id is not None
    archive.credentials.revoke(SYSTEM, revoked.token_id)
    assert [is_refused(archive, link, image_id) for link in links] == [True, False]
    clock.advance(31 * SECOND)
    assert [is_refused(archive, link, image_id) for link in links] == [True, True]


def test_a_link_ends_when_its_maker_is_disabled(archive: Archive, ana: Actor, image_id: int) -> None:
    link = archive.view_links.create(ana, image_id, 60)
    archive.users.set_active(SYSTEM, "ana", is_active=False)
    assert is_refused(archive, link, image_id)


def test_what_its_maker_may_no_longer_see_a_link_does_not_show(archive: Archive, image_id: int) -> None:
    ben = user(archive, "ben")
    with pytest.raises(ImageUnknown):
        archive.view_links.create(ben, image_id, 60)
    own = image_of(archive, ben)
    link = archive.view_links.create(ben, own, 60)
    archive.lifecycle.transfer(ben, own, "ana")
    with pytest.raises(ImageUnknown):
        archive.images.get(archive.view_links.actor(link, own), own)


def test_who_has_no_token_or_no_scope_makes_no_link(archive: Archive, ana: Actor, image_id: int) -> None:
    for actor in (Actor("native"), Actor("cli", user_id=ana.user_id, kinds=ana.kinds)):
        with pytest.raises(Unauthenticated):
            archive.view_links.create(actor, image_id, 60)
    with pytest.raises(ScopeMissing):
        archive.view_links.create(user(archive, scope="image:write"), image_id, 60)


@pytest.mark.parametrize("seconds", [0, -1, MOST_SECONDS + 1, 10**30])
def test_a_link_lasts_a_second_to_a_day(archive: Archive, ana: Actor, image_id: int, seconds: int) -> None:
    with pytest.raises(InvalidFields):
        archive.view_links.create(ana, image_id, seconds)


def test_making_a_link_is_in_the_trail_and_the_link_is_not(archive: Archive, ana: Actor, image_id: int) -> None:
    link = archive.view_links.create(ana, image_id, 60)
    with archive.database.read() as connection:
        (event,) = [line for line in audit.of_image(connection, image_id) if line.action == "view-link:create"]
        kept = connection.execute(select(secrets.c.value)).scalars().all()
    assert (event.actor_id, event.token_id, event.detail) == (ana.user_id, ana.token_id, '{"seconds":60}')
    assert link not in repr(event) + repr(kept)


def test_a_link_outlives_a_restart_and_is_known_to_every_server(
    backend: Backend, archive: Archive, ana: Actor, image_id: int, tmp_path: Path, clock: MovableClock
) -> None:
    """The key is in the database; of several servers that make it at once, one's is kept."""
    link = archive.view_links.create(ana, image_id, 60)
    database = Database(backend.database_url)
    elsewhere = assemble(database, backend.store, journal_directory=tmp_path / "elsewhere", clock=clock)
    try:
        assert elsewhere.view_links.actor(link, image_id).user_id == ana.user_id
        theirs = elsewhere.view_links.create(ana, image_id, 60)
    finally:
        elsewhere.close()
    assert archive.view_links.actor(theirs, image_id).user_id == ana.user_id


def test_servers_that_begin_at_once_sign_alike(archive: Archive, ana: Actor, image_id: int) -> None:
    def create(_: int) -> str:
        return ViewLinks(archive.database, archive.credentials, archive.clock).create(ana, image_id, 60)

    with ThreadPoolExecutor(8) as threads:
        links = set(threads.map(create, range(8)))
    assert len(links) == 1
    assert not is_refused(archive, links.pop(), image_id)


ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


@ONE_BACKEND
def test_no_bit_of_a_link_can_be_changed(archive: Archive, ana: Actor, image_id: int) -> None:
    link = base64.urlsafe_b64decode(archive.view_links.create(ana, image_id, 60))
    for position in range(len(link) * 8):
        forged = bytearray(link)
        forged[position // 8] ^= 1 << position % 8
        text = base64.urlsafe_b64encode(forged).decode()
        named = int.from_bytes(forged[1:9], "big")
        assert is_refused(archive, text, image_id), position
        assert is_refused(archive, text, named), position


@ONE_BACKEND
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(text=st.one_of(st.text(max_size=100), st.text("abAB01-_=+/\n", min_size=74, max_size=78)))
def test_any_other_text_is_no_link(archive: Archive, text: str) -> None:
    assert is_refused(archive, text, 1)


@ONE_BACKEND
@pytest.mark.parametrize("text", ["", "\0", "\ud800", "a" * 100_000, "A" * 76 + "\n", "é" * 76, "A" * 75 + "="])
def test_odd_texts_are_no_links(archive: Archive, text: str) -> None:
    assert is_refused(archive, text, 1)


@ONE_BACKEND
def test_the_link_of_a_day_lapses_after_it(archive: Archive, ana: Actor, image_id: int, clock: MovableClock) -> None:
    link = archive.view_links.create(ana, image_id, MOST_SECONDS)
    clock.advance(DAY)
    assert is_refused(archive, link, image_id)
