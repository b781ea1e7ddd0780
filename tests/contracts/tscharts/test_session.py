"""Contract section 2: who is let in, and with what."""

import pytest

from pinakes.core.access import logins
from pinakes.core.actor import Kind
from pinakes.core.archive import Archive
from tests.contracts.tscharts.conftest import SYSTEM, Client, make_token

PASSWORD = "an invented password"
GOOD = {"username": "volunteer", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _password(archive: Archive, token: str) -> None:
    archive.users.set_password(SYSTEM, "volunteer", PASSWORD)


def log_in(client: Client) -> str:
    answer = client("POST", "/login/", GOOD, token=None)
    assert answer.status_code == 200
    token: str = answer.json()["token"]
    return token


def test_a1_the_scheme_in_any_case_and_extra_blanks(client: Client) -> None:
    client.clinic()
    for form in ("Token {}", "token {}", "TOKEN    {}", "tOkEn \t{}  "):
        answer = client("GET", "/clinic/", headers={"Authorization": form.format(client.token)})
        assert answer.status_code == 200, form


def test_a2_anything_else_is_401(client: Client) -> None:
    client.clinic()
    forms = ("", "{}", "Token", "Token ", "Bearer {}", "Basic {}", "Token {}x", "Token a {}", "Token{}", "Tokens {}")
    for form in forms:
        answer = client("GET", "/clinic/", headers={"Authorization": form.format(client.token)})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Token"), form
        assert list(answer.json()) == ["detail"]


def test_a2_no_header_or_a_deactivated_user_is_401(client: Client, archive: Archive) -> None:
    assert client("GET", "/clinic/", token=None).status_code == 401
    client.clinic()
    archive.users.set_active(SYSTEM, "volunteer", False)
    assert client("GET", "/clinic/").status_code == 401


def test_a2_a_revoked_token_is_401_at_once(client: Client, archive: Archive) -> None:
    client.clinic()
    assert client("GET", "/clinic/").status_code == 200
    (token,) = archive.credentials.list("volunteer")
    archive.credentials.revoke(SYSTEM, token.id)
    assert client("GET", "/clinic/").status_code == 401


def test_a3_cookies_and_parameters_do_not_authenticate(client: Client) -> None:
    query = f"?token={client.token}&Authorization=Token%20{client.token}"
    cookies = {"Cookie": f"token={client.token}; sessionid={client.token}"}
    assert client("GET", f"/clinic/{query}", token=None, headers=cookies).status_code == 401


def test_a4_401_comes_before_every_other_fault(client: Client) -> None:
    for method, path, content in (
        ("POST", "/image/", b"not json"),
        ("POST", "/patient/", b""),
        ("GET", "/image/99/", None),
        ("GET", "/image/abc/", None),
        ("GET", "/image/?sort=yadda", None),
        ("DELETE", "/image/", None),
        ("PATCH", "/image/1/", b"{}"),
        ("PUT", "/image/1/", b"{}"),
        ("PUT", "/register/1/", b"["),
    ):
        assert client(method, path, content=content, token=None).status_code == 401, (method, path)


def test_a5_many_devices_are_signed_in_at_once(client: Client) -> None:
    client.clinic()
    tokens = {log_in(client) for _ in range(3)}
    assert len(tokens) == 3
    for token in tokens:
        assert " " not in token
        assert client("GET", "/clinic/", token=token).status_code == 200


def test_l1_a_stale_token_is_ignored_when_signing_in(client: Client) -> None:
    for headers in ({}, {"Authorization": "Token stale"}, {"Authorization": "nonsense"}):
        assert client("POST", "/login/", GOOD, token=None, headers=headers).status_code == 200


def test_l2_the_answer_is_a_token_and_the_id_as_text(client: Client, archive: Archive) -> None:
    answer = client("POST", "/login/", GOOD, token=None).json()
    assert sorted(answer) == ["id", "token"]
    assert answer["id"] == str(archive.users.get("volunteer").id)


def test_l3_a_missing_member_is_400(client: Client) -> None:
    for body in ({}, {"username": "volunteer"}, {"password": PASSWORD}, {"pin": "1234"}):
        assert client("POST", "/login/", body, token=None).status_code == 400, body


def test_l4_l5_a_wrong_login_is_403(client: Client) -> None:
    for body in (
        GOOD | {"password": "wrong"},
        GOOD | {"password": ""},
        GOOD | {"username": "nobody"},
        GOOD | {"username": None},
        GOOD | {"username": ""},
        GOOD | {"username": "a\0b"},
        {"username": "volunteer", "pin": "1234"},
        {"username": "nobody", "pin": "1234"},
        GOOD | {"password": "wrong", "pin": "1234"},
    ):
        assert client("POST", "/login/", body, token=None).status_code == 403, body


def test_l4_values_of_another_type_are_403_or_400(client: Client) -> None:
    values: tuple[object, ...] = (None, 5, 1.5, True, [], {})
    for value in values:
        for member in ("username", "password"):
            assert client("POST", "/login/", GOOD | {member: value}, token=None).status_code in (400, 403), value


def test_l4_a_deactivated_user_and_one_without_the_kind_are_403(client: Client, archive: Archive) -> None:
    archive.users.add(SYSTEM, "builder", "ci@example.org", PASSWORD, [Kind.MACHINE])
    assert client("POST", "/login/", GOOD | {"username": "builder"}, token=None).status_code == 403
    assert archive.credentials.list("builder") == []
    archive.users.set_active(SYSTEM, "volunteer", False)
    assert client("POST", "/login/", GOOD, token=None).status_code == 403


def test_l5_with_a_pin_too_the_password_decides(client: Client) -> None:
    assert client("POST", "/login/", GOOD | {"pin": "0000"}, token=None).status_code == 200


def test_l6_only_post_signs_in(client: Client) -> None:
    answer = client("GET", "/login/", token=None)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_l7_thirty_failures_a_minute_are_all_403_and_the_next_is_429(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "DELAY_SECONDS", 0.0)
    wrong = GOOD | {"password": "wrong"}
    assert {client("POST", "/login/", wrong, token=None).status_code for _ in range(30)} == {403}
    answer = client("POST", "/login/", wrong, token=None)
    assert (answer.status_code, 0 < int(answer.headers["retry-after"]) <= 60) == (429, True)


def test_l7_the_answer_to_a_name_that_failed_often_is_held_back(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "DELAYED_AFTER", 1)
    monkeypatch.setattr(logins, "DELAY_SECONDS", 0.3)
    wrong = GOOD | {"password": "wrong"}
    first = client("POST", "/login/", wrong, token=None)
    second = client("POST", "/login/", wrong, token=None)
    assert (first.status_code, second.status_code) == (403, 403)
    assert second.elapsed.total_seconds() >= 0.3
    assert client("POST", "/login/", GOOD, token=None).elapsed.total_seconds() < 0.3


def test_o1_logout_is_always_well(client: Client) -> None:
    for headers in ({}, {"Authorization": "Token unknown"}, {"Authorization": "nonsense"}):
        answer = client("POST", "/logout/", {}, token=None, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"{}")
    assert client("POST", "/logout/", content=b"not json", token=None).status_code == 200


def test_o2_logout_ends_the_session_it_is_given_and_no_other(client: Client, archive: Archive) -> None:
    client.clinic()
    first, second = log_in(client), log_in(client)
    by_hand = make_token(archive, "volunteer")
    client("POST", "/logout/", {}, token=first)
    client("POST", "/logout/", {}, token=by_hand)
    client("POST", "/logout/", {}, token=None)
    statuses = [client("GET", "/clinic/", token=token).status_code for token in (first, second, by_hand)]
    assert statuses == [401, 200, 200]
