"""`pinakes user` and `pinakes token`."""

import pytest

from pinakes.core.actor import Kind, Scope
from pinakes.core.archive import Archive
from pinakes.core.errors import BadLogin, Unauthenticated
from tests.cli.conftest import Run

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def test_adding_a_user_prints_the_id_alone(pinakes: Run, archive: Archive) -> None:
    added = pinakes(
        "user", "add", "bea", "--email", "bea@example.org", "--kinds", "clinical,slide", "--staff", "--id", 77
    )
    assert added.result == "77"
    assert added.err == ""
    user = archive.users.get("bea")
    assert (user.id, user.kinds, user.is_staff) == (77, frozenset({Kind.CLINICAL, Kind.SLIDE}), True)
    next_one = pinakes("user", "add", "cleo", "--email", "cleo@example.org")
    assert int(next_one.result) > 77
    assert archive.users.get("cleo").kinds == frozenset()


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_password_is_read_from_standard_input_without_the_end_of_its_line(
    pinakes: Run, archive: Archive, ending: bytes
) -> None:
    arguments = ("user", "add", "bea", "--email", "bea@example.org", "--kinds", "clinical", "--password-stdin")
    assert pinakes(*arguments, stdin=" päss word ".encode() + ending).status == 0
    actor, _ = archive.credentials.login("tscharts", "bea", " päss word ", "192.0.2.1")
    assert actor.name == "bea"


def test_a_user_without_a_password_cannot_log_in(pinakes: Run, archive: Archive) -> None:
    assert pinakes("user", "add", "bea", "--email", "bea@example.org").status == 0
    with pytest.raises(BadLogin):
        archive.credentials.login("tscharts", "bea", "", "192.0.2.1")


def test_a_new_password_takes_the_place_of_the_old(pinakes: Run, archive: Archive, user: str) -> None:
    assert pinakes("user", "password", user, "--password-stdin", stdin=b"battery staple\n").status == 0
    with pytest.raises(BadLogin):
        archive.credentials.login("tscharts", user, "correct horse", "192.0.2.1")
    archive.credentials.login("tscharts", user, "battery staple", "192.0.2.1")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"\xff\xfe\n", "UTF-8"), (b"x" * 9000, "too long"), (b"a\0b", "NUL")]
)
def test_a_password_that_cannot_be_one_is_refused(pinakes: Run, user: str, content: bytes, reason: str) -> None:
    assert reason in pinakes("user", "password", user, "--password-stdin", stdin=content).failure


def test_a_password_is_not_taken_from_the_command_line(pinakes: Run, user: str) -> None:
    assert pinakes("user", "password", user).status == 2
    assert pinakes("user", "password", user, "secret", "--password-stdin").status == 2


def test_kinds_and_staff_are_set(pinakes: Run, archive: Archive, user: str) -> None:
    assert pinakes("user", "kinds", user, "slide", "--staff").status == 0
    assert (archive.users.get(user).kinds, archive.users.get(user).is_staff) == (frozenset({Kind.SLIDE}), True)
    assert pinakes("user", "kinds", user, "machine").status == 0
    assert archive.users.get(user).is_staff
    assert pinakes("user", "kinds", user, "none", "--no-staff").status == 0
    assert (archive.users.get(user).kinds, archive.users.get(user).is_staff) == (frozenset(), False)


def test_users_are_listed(pinakes: Run, user: str) -> None:
    pinakes("user", "add", "bea", "--email", "bea@example.org", "--staff")
    pinakes("user", "disable", "bea")
    first, second = pinakes("user", "list").rows
    assert first[1:6] == ["anna", "anna@example.org", "clinical,machine", "-", "enabled"]
    assert second[1:6] == ["bea", "bea@example.org", "-", "staff", "disabled"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "kinds", "nobody", "slide"),
        ("user", "disable", "nobody"),
        ("user", "enable", "nobody"),
        ("token", "create", "nobody"),
        ("token", "list", "nobody"),
        ("image", "list", "--as", "nobody"),
    ],
)
def test_an_unknown_user_is_one_line_and_status_1(pinakes: Run, arguments: tuple[str, ...]) -> None:
    assert pinakes(*arguments).failure == "There is no such user."


def test_what_is_wrong_with_a_new_user_is_named(pinakes: Run, user: str) -> None:
    assert pinakes("user", "add", "x", "--email", "x@example.org").failure.startswith("name: ")
    assert pinakes("user", "add", "bea", "--email", "nowhere").failure.startswith("email: ")
    assert pinakes("user", "add", "bea", "--email", "b@example.org", "--kinds", "cats").failure.startswith("kinds: ")
    assert "already exists" in pinakes("user", "add", "ANNA", "--email", "b@example.org").failure


def test_a_token_is_printed_alone_and_works(pinakes: Run, archive: Archive, user: str) -> None:
    made = pinakes("token", "create", user, "--scope", "image:read namespace:read,write", "--expires", "30d")
    actor = archive.credentials.actor("djinn", made.result)
    assert made.err == ""
    assert (actor.name, actor.scope) == (user, Scope.parse("image:read namespace:read,write"))


def test_a_token_is_listed_without_its_text_and_refused_once_revoked(pinakes: Run, archive: Archive, user: str) -> None:
    token = pinakes("token", "create", user, "--label", "for the tablet").result
    listed = pinakes("token", "list", user)
    ((token_id, label, origin, scope, _, _, expires),) = listed.rows
    assert (label, origin, scope, expires) == ("for the tablet", "made", "all", "-")
    assert token not in listed.text
    assert pinakes("token", "revoke", token_id).status == 0
    with pytest.raises(Unauthenticated):
        archive.credentials.actor("djinn", token)
    assert pinakes("token", "revoke", token_id).failure == "There is no such token."


def test_a_disabled_users_token_is_refused_until_enabled_again(pinakes: Run, archive: Archive, user: str) -> None:
    token = pinakes("token", "create", user).result
    assert pinakes("user", "disable", user).status == 0
    with pytest.raises(Unauthenticated):
        archive.credentials.actor("djinn", token)
    assert pinakes("user", "enable", user).status == 0
    archive.credentials.actor("djinn", token)


@pytest.mark.parametrize("expires", ["30", "0d", "-1d", "3y", "1d 2h", "", "999999999w"])
def test_a_duration_that_is_none_is_refused(pinakes: Run, user: str, expires: str) -> None:
    assert (
        "duration" in (failure := pinakes("token", "create", user, "--expires", expires).failure) or "long" in failure
    )


def test_a_scope_that_is_none_is_refused(pinakes: Run, user: str) -> None:
    assert "scope" in pinakes("token", "create", user, "--scope", "image:fly").failure
    assert pinakes("token", "list", user).rows == []
