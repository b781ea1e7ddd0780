"""Settings: what they default to, what they refuse, and that people can read about each."""

import pickle
import re
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes import config
from pinakes.config import PREFIX, Settings, SettingsInvalid
from pinakes.server.application import found_apis

OPERATIONS = Path(__file__).parent.parent / "docs" / "operations.md"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def documented_row(option: str) -> str:
    """The row of the table in docs/operations.md that an option must have."""
    field = Settings.model_fields[option]
    default = {None: "", (): ""}.get(field.default, field.default)
    if isinstance(default, bool):
        default = str(default).lower()
    shown = f"`{default}`" if str(default) else ""
    return f"| `{PREFIX}{option.upper()}` | {shown} | {field.description} |"


@pytest.mark.parametrize("option", Settings.model_fields)
def test_each_option_is_documented_with_its_default(option: str) -> None:
    assert documented_row(option) in OPERATIONS.read_text().splitlines()


def test_the_documentation_names_no_other_option() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z0-9_]+", OPERATIONS.read_text()))
    assert named == {f"{PREFIX}{option.upper()}" for option in Settings.model_fields}


def test_everything_has_a_default() -> None:
    settings = config.load()
    assert settings.database == f"sqlite:///{Path.cwd()}/var/pinakes.db"
    assert settings.store == f"disk://{Path.cwd()}/var/blobs"
    assert (settings.host, settings.port, settings.zone) == ("127.0.0.1", 8000, UTC)
    assert settings.max_upload_bytes is None
    assert settings.worker_count >= 1


def test_what_is_given_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINAKES_PORT", "9001")
    monkeypatch.setenv("PINAKES_DATA", "/srv/pinakes")
    assert config.load().port == 9001
    settings = config.load(port=9002, data=None)
    assert settings.port == 9002
    assert settings.database == "sqlite:////srv/pinakes/pinakes.db"


def test_an_unknown_variable_stops_the_program_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINAKES_DATABSE_URL", "postgresql://u:hunter2@h/d")
    with pytest.raises(SettingsInvalid) as caught:
        config.load()
    assert caught.value.problems == ["PINAKES_DATABSE_URL is not an option of Pinakes"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("WORKERS", "0"),
        ("DATABASE_URL", "mysql://root:hunter2@h/d"),
        ("STORE_URL", "ftp://hunter2@h/d"),
        ("STORE_URL", "memory:"),
        ("PUBLIC_URL", "https://hunter2@archive.example"),
        ("PUBLIC_URL", "archive.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, hunter2"),
        ("MAX_JSON_BYTES", "0"),
        ("MAX_UPLOAD_BYTES", "hunter2"),
        ("DJINN_PATH", "djinn"),
        ("DJINN_PATH", "/dj%2fnn"),
        ("TSCHARTS_HOST", "http://h"),
        ("TIME_ZONE", "../../etc/passwd"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("LOG_LEVEL", "chatty"),
        ("ACCESS_LOG", "hunter2"),
        ("S3_ENDPOINT", "h:9000"),
    ],
)
def test_a_bad_value_stops_the_program_with_name_and_reason_but_not_the_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(SettingsInvalid) as caught:
        config.load()
    (problem,) = caught.value.problems
    assert problem.startswith(f"{PREFIX}{variable}: ")
    assert len(problem) > len(PREFIX + variable) + 10
    assert "hunter2" not in str(caught.value)


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINAKES_PORT", "no")
    monkeypatch.setenv("PINAKES_THREADS", "no")
    with pytest.raises(SettingsInvalid) as caught:
        config.load()
    assert len(caught.value.problems) == 2


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINAKES_PORT", "")
    assert config.load().port == 8000


def test_secrets_are_not_shown() -> None:
    settings = config.load(s3_secret_key="hunter2", s3_access_key="hunter2", database_url="postgresql://u:hunter2@h/d")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)


def test_settings_cannot_be_changed_and_reach_another_process_whole() -> None:
    settings = config.load(s3_secret_key="hunter2", trusted_proxies="10.0.0.0/8,::1", max_upload_bytes="20GiB")
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert again.max_upload_bytes == 20 * 1024**3
    assert [str(network) for network in again.trusted_proxies] == ["10.0.0.0/8", "::1/128"]


def test_sqlite_migrates_by_itself_and_postgresql_does_not_unless_told() -> None:
    assert config.load().migrates
    assert not config.load(auto_migrate=False).migrates
    assert not config.load(database_url="postgresql://h/d").migrates
    assert config.load(database_url="postgresql://h/d", auto_migrate=True).migrates


def test_an_api_is_mounted_where_the_settings_say() -> None:
    settings = config.load(tscharts_path="off", djinn_path="/", djinn_host="CI.Example")
    assert settings.path_of("tscharts") is None
    assert settings.path_of("djinn") == ""
    assert settings.host_of("djinn") == "ci.example"
    assert settings.host_of("tscharts") is None


def test_each_api_has_its_settings_with_its_own_default_path() -> None:
    settings = config.load()
    assert {api.name: settings.path_of(api.name) for api in found_apis()} == {
        api.name: api.default_path for api in found_apis()
    }


def test_a_time_zone_is_read_from_its_name() -> None:
    assert config.load(time_zone="America/Tijuana").zone == ZoneInfo("America/Tijuana")


@given(st.text(max_size=40))
def test_no_text_makes_a_path_option_fail_in_an_unexpected_way(text: str) -> None:
    try:
        settings = config.load(djinn_path=text)
    except SettingsInvalid:
        return
    path = settings.path_of("djinn")
    assert path is None or path == "" or (path.startswith("/") and not path.endswith("/"))
