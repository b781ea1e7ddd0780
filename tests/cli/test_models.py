"""`pinakes model`: installing, listing, choosing and removing what slides are predicted with."""

from pathlib import Path

from pinakes.core.archive import Archive
from tests.cli.conftest import Run
from tests.core.analysis.test_models import write_model


def test_a_model_is_installed_used_and_removed(pinakes: Run, archive: Archive, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    assert pinakes("model", "add", str(folder)).result == "invented@1.0"
    built_in, installed = pinakes("model", "list").rows
    assert built_in[:3] == ["classical", "classical", "default"]
    assert installed[:3] == ["invented@1.0", "executable", "-"]
    assert len(installed[3]) == 64
    assert pinakes("model", "use", "invented@1.0").status == 0
    assert [row[2] for row in pinakes("model", "list").rows] == ["-", "default"]
    assert "default" in pinakes("model", "remove", "invented@1.0").failure
    assert pinakes("model", "use", "classical").status == 0
    assert pinakes("model", "remove", "invented@1.0").status == 0
    assert [row[0] for row in pinakes("model", "list").rows] == ["classical"]
    assert archive.models.list() == []


def test_what_is_no_model_is_refused_in_one_line(pinakes: Run, tmp_path: Path) -> None:
    assert "manifest.json" in pinakes("model", "add", str(tmp_path)).failure
    assert pinakes("model", "use", "nothing@1").failure == "There is no such model."
