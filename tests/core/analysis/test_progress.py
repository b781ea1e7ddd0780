"""How fast a run goes, and how often that is told."""

from pinakes.core.analysis.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def rate_of(progress: Progress) -> float | None:
    return progress.rate


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    progress = Progress(1000, 100, clock)
    assert rate_of(progress) is None
    for _ in range(60):
        clock.now += 1
        progress.advance(2)
    assert rate_of(progress) == 2
    for _ in range(30):
        clock.now += 1
        progress.advance(10)
    assert rate_of(progress) == 10
    assert progress.done == 100 + 120 + 300


def test_it_is_told_at_most_every_ten_seconds_and_every_tenth() -> None:
    clock = Clock()
    progress = Progress(1000, 0, clock)
    said = []
    for _ in range(100):
        clock.now += 1
        progress.advance(10)
        said.append(progress.news())
    told = [line for line in said if line]
    assert len(told) == 10
    assert told[0] == "100 of 1000 tiles are scored, 10.0 per second; 90 s left."
    slow = Progress(1_000_000, 0, clock)
    clock.now += 601
    slow.advance(601)
    assert slow.news() == "601 of 1000000 tiles are scored, 1.0 per second; 277.6 h left."
    fast = Progress(1000, 0, clock)
    for _ in range(10):
        clock.now += 0.5
        fast.advance(100)
        assert fast.news() is None
