"""Who is alive: locks on this machine, signs of life elsewhere."""

from pathlib import Path

import pytest

from pinakes.core.jobs import presence
from pinakes.core.jobs.presence import Presence

A, B, ELSEWHERE = "a" * 16, "b" * 16, "c" * 16


class Seconds:
    """The watcher's own clock."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    seconds = Seconds()
    monkeypatch.setattr(presence, "time", seconds)
    return seconds


def test_a_worker_that_lets_go_of_its_file_is_dead_at_once(tmp_path: Path) -> None:
    watcher, other = Presence(tmp_path, A, 30), Presence(tmp_path, B, 30)
    assert watcher.dead({A: 1, B: 1}) == []
    other.abandon()
    assert watcher.dead({A: 1, B: 1}) == [B]
    watcher.clear(B)
    assert [path.name for path in tmp_path.iterdir()] == [A]
    watcher.close()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_elsewhere_is_dead_when_its_signs_of_life_stay_away(tmp_path: Path, seconds: Seconds) -> None:
    watcher = Presence(tmp_path, A, 30)
    assert watcher.dead({ELSEWHERE: 1}) == []
    seconds.now += 29
    assert watcher.dead({ELSEWHERE: 2}) == []
    seconds.now += 29
    assert watcher.dead({ELSEWHERE: 2}) == []
    seconds.now += 2
    assert watcher.dead({ELSEWHERE: 2}) == [ELSEWHERE]
    assert watcher.dead({ELSEWHERE: 3}) == []
    watcher.close()


def test_the_time_of_another_machines_clock_does_not_matter(tmp_path: Path, seconds: Seconds) -> None:
    watcher = Presence(tmp_path, A, 30)
    assert watcher.dead({ELSEWHERE: -(10**15)}) == []
    assert watcher.dead({ELSEWHERE: 10**18}) == []
    watcher.close()


def test_a_worker_that_is_frozen_here_is_dead_after_the_same_patience(tmp_path: Path, seconds: Seconds) -> None:
    watcher, frozen = Presence(tmp_path, A, 30), Presence(tmp_path, B, 30)
    assert watcher.dead({B: 1}) == []
    seconds.now += 31
    assert watcher.dead({B: 1}) == [B]
    watcher.clear(B)
    assert (tmp_path / B).exists()  # it holds its file still
    frozen.close()
    watcher.close()


def test_a_watcher_never_takes_itself_for_dead(tmp_path: Path, seconds: Seconds) -> None:
    watcher = Presence(tmp_path, A, 30)
    assert watcher.dead({A: 1}) == []
    seconds.now += 1_000
    assert watcher.dead({A: 1}) == []
    watcher.close()


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "", "x"])
def test_a_name_from_the_database_is_never_taken_for_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "escape").touch()
    (tmp_path / "x").touch()
    watcher = Presence(tmp_path / "workers", A, 30)
    assert watcher.dead({name: 1}) == []
    watcher.clear(name)
    assert (tmp_path / "escape").exists()
    watcher.close()
