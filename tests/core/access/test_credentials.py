"""Tokens and logins: who is let in, and how soon not any more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from pinakes.core.access import logins
from pinakes.core.access.credentials import LOGIN_IDLE_US, Credentials
from pinakes.core.access.users import Users
from pinakes.core.actor import Actor, Kind, Permission, Resource, Scope
from pinakes.core.clock import HOUR, MINUTE
from pinakes.core.db.schema import tokens, users
from pinakes.core.errors import (
    BadLogin,
    InvalidFields,
    TokenUnknown,
    TooManyAttempts,
    Unauthenticated,
    UserExists,
    UserUnknown,
)
from pinakes.core.readtrail import ReadTrail
from tests.conftest import Backend, MovableClock

SYSTEM = Actor(api="cli")
PASSWORD = "a made-up password"
HERE = "192.0.2.1"


@pytest.fixture
def trail(backend: Backend, tmp_path: Path) -> Iterator[ReadTrail]:
    trail = ReadTrail(backend.database, tmp_path)
    yield trail
    trail.close()


@pytest.fixture
def credentials(backend: Backend, trail: ReadTrail, clock: MovableClock) -> Credentials:
    return Credentials(backend.database, trail, clock)


@pytest.fixture
def accounts(backend: Backend, clock: MovableClock) -> Users:
    accounts = Users(backend.database, clock)
    accounts.add(SYSTEM, "Ana", "ana@example.org", PASSWORD, [Kind.CLINICAL])
    return accounts


def make(credentials: Credentials, scope: str | None = None, expires_at: int | None = None) -> str:
    parsed = None if scope is None else Scope.parse(scope)
    return credentials.create(SYSTEM, "ana", scope=parsed, expires_at=expires_at, label="")


def test_a_token_stands_for_its_user(credentials: Credentials, accounts: Users) -> None:
    actor = credentials.actor("djinn", make(credentials))
    assert (actor.name, actor.kinds, actor.is_staff, actor.scope, actor.api) == (
        "Ana",
        frozenset({Kind.CLINICAL}),
        False,
        None,
        "djinn",
    )


@pytest.mark.parametrize("text", ["", "unknown", "a" * 100_000, "\ud800", "nul\0"])
def test_an_unknown_token_is_refused(credentials: Credentials, accounts: Users, text: str) -> None:
    with pytest.raises(Unauthenticated):
        credentials.actor("djinn", text)


def test_only_a_hash_of_the_token_is_kept(credentials: Credentials, accounts: Users, backend: Backend) -> None:
    token = make(credentials)
    with backend.database.read() as connection:
        row = connection.execute(select(tokens)).one()
    assert token not in repr(row)


def test_a_revoked_token_is_refused_at_once(credentials: Credentials, accounts: Users) -> None:
    token = make(credentials)
    (kept,) = credentials.list("ana")
    credentials.revoke(SYSTEM, kept.id)
    with pytest.raises(Unauthenticated):
        credentials.actor("djinn", token)
    with pytest.raises(TokenUnknown):
        credentials.revoke(SYSTEM, kept.id)


def test_a_token_is_refused_from_its_expiry_on(credentials: Credentials, accounts: Users, clock: MovableClock) -> None:
    token = make(credentials, expires_at=clock() + HOUR)
    clock.advance(HOUR - 1)
    credentials.actor("djinn", token)
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        credentials.actor("djinn", token)


def test_a_disabled_users_tokens_stop_working_at_once(credentials: Credentials, accounts: Users) -> None:
    token = make(credentials)
    accounts.set_active(SYSTEM, "ana", is_active=False)
    with pytest.raises(Unauthenticated):
        credentials.actor("djinn", token)
    accounts.set_active(SYSTEM, "ana", is_active=True)
    credentials.actor("djinn", token)


def test_a_login_token_lives_while_it_is_used_and_dies_idle(
    credentials: Credentials, accounts: Users, clock: MovableClock, trail: ReadTrail
) -> None:
    _, token = credentials.login("tscharts", "ana", PASSWORD, HERE)
    for _ in range(3):
        clock.advance(LOGIN_IDLE_US - 1)
        credentials.actor("tscharts", token)
        trail.flush()
    clock.advance(LOGIN_IDLE_US)
    with pytest.raises(Unauthenticated):
        credentials.actor("tscharts", token)


def test_a_login_with_an_end_lives_till_then_used_or_not(
    credentials: Credentials, accounts: Users, clock: MovableClock
) -> None:
    end = clock.now + 2 * LOGIN_IDLE_US
    actor, token = credentials.login("native", "ana", PASSWORD, HERE, expires_at=end)
    (listed,) = credentials.list("ana")
    assert (listed.id, listed.expires_at, listed.lapses_at) == (actor.token_id, end, end)
    clock.advance(2 * LOGIN_IDLE_US - 1)
    assert credentials.actor("native", token).token_id == actor.token_id
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        credentials.actor("native", token)


def test_a_name_counts_in_any_case(credentials: Credentials, accounts: Users) -> None:
    actor, _ = credentials.login("tscharts", "aNa", PASSWORD, HERE)
    assert actor.name == "Ana"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ana", "wrong"), ("nobody", PASSWORD), ("", ""), ("ana\0", PASSWORD), ("\ud800", PASSWORD), ("ana", "\ud800")],
)
def test_a_wrong_name_or_password_is_refused(
    credentials: Credentials, accounts: Users, name: str, password: str
) -> None:
    with pytest.raises(BadLogin):
        credentials.login("tscharts", name, password, HERE)


def test_a_disabled_user_cannot_log_in(credentials: Credentials, accounts: Users) -> None:
    accounts.set_active(SYSTEM, "ana", is_active=False)
    with pytest.raises(BadLogin):
        credentials.login("tscharts", "ana", PASSWORD, HERE)


def fail(credentials: Credentials, name: str, times: int, address: str = HERE) -> BadLogin:
    for _ in range(times):
        with pytest.raises(BadLogin) as caught:
            credentials.login("tscharts", name, "", address)
    return caught.value


def test_thirty_failures_a_minute_are_only_refused_and_then_one_waits(
    credentials: Credentials, accounts: Users, clock: MovableClock
) -> None:
    fail(credentials, "ana", logins.MOST_PER_NAME)
    with pytest.raises(TooManyAttempts) as caught:
        credentials.login("tscharts", "ana", PASSWORD, HERE)
    assert 0 < caught.value.retry_after_seconds <= 60
    clock.advance(MINUTE)
    credentials.login("tscharts", "ana", PASSWORD, HERE)


def test_a_tablet_beside_a_guesser_is_not_locked_out(credentials: Credentials, accounts: Users) -> None:
    fail(credentials, "somebody", logins.MOST_PER_NAME)
    credentials.login("tscharts", "ana", PASSWORD, HERE)


def test_an_address_that_tries_many_names_must_wait(
    credentials: Credentials, accounts: Users, backend: Backend, clock: MovableClock
) -> None:
    with backend.database.write() as transaction:
        for number in range(logins.MOST_PER_ADDRESS):
            logins.record_failure(transaction, HERE, f"name{number // 10}", clock())
    with pytest.raises(TooManyAttempts):
        credentials.login("tscharts", "ana", PASSWORD, HERE)
    credentials.login("tscharts", "ana", PASSWORD, "192.0.2.2")


def test_a_name_guessed_from_many_addresses_is_answered_slowly(credentials: Credentials, accounts: Users) -> None:
    assert fail(credentials, "ana", 4).delay_seconds == 0
    for number in range(logins.DELAYED_AFTER):
        refusal = fail(credentials, "ana", 1, f"192.0.2.{number + 10}")
    assert refusal.delay_seconds == logins.DELAY_SECONDS
    credentials.login("tscharts", "ana", PASSWORD, "192.0.2.99")


def test_a_scope_limits_what_a_token_may_do(credentials: Credentials, accounts: Users) -> None:
    actor = credentials.actor("djinn", make(credentials, "image:read,write namespace:read"))
    assert actor.may(Resource.IMAGE, Permission.WRITE)
    assert not actor.may(Resource.IMAGE, Permission.DELETE)
    assert not actor.may(Resource.INVITE, Permission.READ)


def test_a_token_is_made_only_for_a_known_user(credentials: Credentials, accounts: Users) -> None:
    with pytest.raises(UserUnknown):
        credentials.create(SYSTEM, "nobody", scope=None, expires_at=None, label="")


@pytest.mark.parametrize(("name", "email"), [("ANA", "other@example.org"), ("other", "ANA@example.org")])
def test_names_and_addresses_are_unique_in_any_case(accounts: Users, name: str, email: str) -> None:
    with pytest.raises(UserExists):
        accounts.add(SYSTEM, name, email, None, [])


@pytest.mark.parametrize("name", ["ab", "a" * 31, "with space", "Ana\n", "näme", "", "a/b"])
def test_a_user_name_outside_the_alphabet_is_refused(accounts: Users, name: str) -> None:
    with pytest.raises(InvalidFields):
        accounts.add(SYSTEM, name, "new@example.org", None, [])


def test_a_chosen_id_is_kept_and_later_ids_are_above_it(accounts: Users) -> None:
    assert accounts.add(SYSTEM, "old", "old@example.org", None, [], user_id=5_000).id == 5_000
    assert accounts.add(SYSTEM, "new", "new@example.org", None, []).id > 5_000
    with pytest.raises(UserExists):
        accounts.add(SYSTEM, "again", "again@example.org", None, [], user_id=5_000)


def test_a_password_is_kept_as_a_hash_only(accounts: Users, backend: Backend) -> None:
    with backend.database.read() as connection:
        assert PASSWORD not in repr(connection.execute(select(users)).all())
