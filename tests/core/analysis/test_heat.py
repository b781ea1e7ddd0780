"""Heat maps of runs: who may see them, of which run, how they grow, and what is kept of them (issue 5, item 7)."""

import tracemalloc
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.analysis import plans
from pinakes.core.analysis.heat import FRESH, HeatMaps
from pinakes.core.analysis.plans import Kept
from pinakes.core.archive import Archive
from pinakes.core.catalogue import descriptions
from pinakes.core.db.schema import events
from pinakes.core.errors import HeatMapUnknown, ImageUnknown, InvalidFields, ScopeMissing
from pinakes.core.slides import run_records
from pinakes.core.slides.records import Slide
from pinakes.imaging.analysis import heat as drawing
from pinakes.imaging.analysis.heat import COLOURS, NOTHING
from pinakes.imaging.analysis.requests import TILE
from pinakes.imaging.source import Description, Level, Rect, Size
from tests.conftest import MovableClock
from tests.core.analysis.making import put_slide
from tests.core.analysis.making_heat import UNITS, plan_run, score
from tests.core.analysis.pretending import Pretender, Stage
from tests.core.namespaces.making import SYSTEM
from tests.core.slides.working import work_off
from tests.statements import counted_statements

SIZE = Size(400, 200)
SIDE = 100
"""Of the tiles: eight, in two rows."""


def read_already(archive: Archive, slide: Slide, size: Size = SIZE) -> Slide:
    """As if the content were a picture, and had been read."""
    assert slide.content is not None
    with archive.database.write() as transaction:
        read = Description("svs", size, (Level(size, 1.0),))
        descriptions.set_ready(transaction, slide.content.id, read, archive.clock())
    return slide


@pytest.fixture
def slide(archive: Archive, slide: Slide) -> Slide:
    return read_already(archive, slide)


def planned(archive: Archive, ana: Actor, slide: Slide, **options: Any) -> int:
    return plan_run(archive, ana, slide.id, SIZE, SIDE, **options)


def seen(archive: Archive, actor: Actor, slide: Slide, run_id: int | None = None) -> Any:
    """One step of colour for each tile."""
    found = archive.heat_maps.find(actor, slide.id, run_id)
    whole = Rect(0, 0, SIZE.width, SIZE.height)
    return archive.heat_maps.picture(actor, found, whole, Size(4, 2)).steps.tolist()


def test_it_grows_with_every_batch_while_the_run_goes_on(
    archive: Archive, ana: Actor, slide: Slide, clock: MovableClock
) -> None:
    run_id = planned(archive, ana, slide)
    assert seen(archive, ana, slide) == [[NOTHING] * 4, [NOTHING] * 4]
    score(archive, run_id, 1, [0.0, 1.0, 0.5, 1.0])  # batches come in whatever order
    clock.advance(FRESH)
    assert seen(archive, ana, slide) == [[NOTHING] * 4, [1, COLOURS, 128, COLOURS]]
    score(archive, run_id, 0, [1.0, 0.0, 0.0, 0.0])
    assert seen(archive, ana, slide) == [[COLOURS, 1, 1, 1], [1, COLOURS, 128, COLOURS]]
    found = archive.heat_maps.find(ana, slide.id)
    assert (found.run_id, found.column, found.heat.scored, found.heat.range) == (run_id, UNITS, 8, (0.0, 1.0))


def test_etags_tell_what_is_seen(archive: Archive, ana: Actor, slide: Slide, clock: MovableClock) -> None:
    """So a part where nothing has been scored since needs not be sent again."""
    run_id = planned(archive, ana, slide)

    def etags() -> list[str]:
        found = archive.heat_maps.find(ana, slide.id)
        parts = [Rect(0, 0, 400, 100), Rect(0, 100, 400, 100), Rect(0, 0, 400, 200)]
        return [archive.heat_maps.picture(ana, found, part, Size(40, 20)).etag for part in parts]

    before = etags()
    assert before == etags()
    score(archive, run_id, 1, [0.0, 1.0, 0.5, 1.0])
    clock.advance(FRESH)
    after = etags()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]


def test_the_newest_run_with_scores_is_shown_or_the_one_that_is_named(
    archive: Archive, ana: Actor, slide: Slide, clock: MovableClock
) -> None:
    first = planned(archive, ana, slide)
    score(archive, first, 0, [1.0] * 4)
    archive.runs.stop(ana, slide.id)
    with pytest.raises(HeatMapUnknown):  # what is scored of a run that is stopped is gone
        archive.heat_maps.find(ana, slide.id, first)
    second = planned(archive, ana, slide)
    clock.advance(1)
    other = read_already(archive, put_slide(archive, ana, b"another"))
    third = planned(archive, ana, other)
    assert archive.heat_maps.find(ana, slide.id).run_id == second
    assert archive.heat_maps.find(ana, slide.id, second).run_id == second
    for run_id in (first, third, 10**18):
        with pytest.raises(HeatMapUnknown):
            archive.heat_maps.find(ana, slide.id, run_id)


def test_a_run_that_has_not_begun_has_none(archive: Archive, ana: Actor, slide: Slide) -> None:
    with pytest.raises(HeatMapUnknown):
        archive.heat_maps.find(ana, slide.id)
    archive.runs.start(ana, slide.id)
    with pytest.raises(HeatMapUnknown):
        archive.heat_maps.find(ana, slide.id)


def test_it_is_of_the_bytes_that_are_shown(archive: Archive, ana: Actor, slide: Slide) -> None:
    run_id = planned(archive, ana, slide)
    assert archive.heat_maps.find(ana, slide.id).run_id == run_id
    with archive.database.write() as transaction:
        known = plans.find(transaction, run_id)
        assert known is not None
        made = {name: getattr(known, name) for name in known.__dataclass_fields__} | {"input_digest": "0" * 64}
        plans.add(transaction, run_id, plans.Plan(**made), b"", archive.clock())
    with pytest.raises(HeatMapUnknown):
        archive.heat_maps.find(ana, slide.id)


def test_who_may_see_the_slide_sees_it_and_that_is_noted(archive: Archive, ana: Actor, slide: Slide) -> None:
    score(archive, planned(archive, ana, slide), 0, [1.0] * 4)
    user = archive.users.add(SYSTEM, "ben", "ben@example.org", None, [Kind.SLIDE])
    ben = Actor("iiif", user.id, user.name, user.email, user.created_at, user.kinds)
    for actor in (ben, Actor("iiif")):
        with pytest.raises(ImageUnknown):
            archive.heat_maps.find(actor, slide.id)
    archive.slide_sharing.add(ana, slide.id, [user.id])
    assert seen(archive, ben, slide)[0] == [COLOURS] * 4
    archive.trail.flush()
    with archive.database.read() as connection:
        lookers = connection.execute(select(events.c.actor_id).where(events.c.action == "image:view")).scalars().all()
    assert user.id in lookers
    limited = Actor("iiif", user.id, user.name, user.email, 0, user.kinds, scope=Scope.parse("namespace:read"))
    with pytest.raises(ScopeMissing):
        archive.heat_maps.find(limited, slide.id)


def test_the_side_of_the_whole_is_bounded(archive: Archive, ana: Actor, slide: Slide) -> None:
    planned(archive, ana, slide)
    found = archive.heat_maps.find(ana, slide.id)
    for side in (0, 63, 2049, -1):
        with pytest.raises(InvalidFields):
            archive.heat_maps.whole(ana, found, side)
    assert archive.heat_maps.whole(ana, found, 64).steps.shape == (32, 64)
    assert archive.heat_maps.whole(ana, found, 2048).steps.shape == (SIZE.height, SIZE.width)


# -- What is kept -------------------------------------------------------------------------------------------------


def test_scores_are_read_once_for_all_who_look_until_there_are_more(
    archive: Archive, ana: Actor, slide: Slide, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = planned(archive, ana, slide, batch_tiles=2)
    score(archive, run_id, 1, [1.0] * 2)
    layouts: list[bytes] = []
    layout_of = drawing.layout_of

    def noted(packed: bytes) -> drawing.Layout:
        layouts.append(packed)
        return layout_of(packed)

    monkeypatch.setattr(drawing, "layout_of", noted)

    def statements() -> int:
        with counted_statements(archive.database.engine) as counted:
            seen(archive, ana, slide)
        return len(counted)

    first, again = statements(), statements()
    assert again < first
    score(archive, run_id, 0, [1.0] * 2)
    clock.advance(FRESH)
    grown = statements()
    assert again < grown < first, "where the tiles lie is known"
    assert statements() == again
    assert len(layouts) == 1


def test_while_a_run_goes_on_its_scores_are_read_every_two_seconds_and_at_its_end_at_once(
    archive: Archive, ana: Actor, slide: Slide, clock: MovableClock
) -> None:
    run_id = planned(archive, ana, slide, batch_tiles=2)

    def scored() -> int:
        return archive.heat_maps.find(ana, slide.id).heat.scored

    assert scored() == 0
    score(archive, run_id, 0, [1.0] * 2)
    clock.advance(FRESH - 1)
    assert scored() == 0
    clock.advance(1)
    assert scored() == 2
    score(archive, run_id, 2, [1.0] * 2)
    score(archive, run_id, 3, [1.0] * 2)
    assert scored() == 2
    clock.advance(-1)  # a clock that is set back holds nothing up
    assert scored() == 6
    score(archive, run_id, 1, [1.0] * 2)
    assert scored() == 8


def test_of_many_columns_only_the_one_that_is_shown_is_kept_in_memory(
    archive: Archive, ana: Actor, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, batch_tiles, columns = 50, 100, 250
    run_id = plan_run(archive, ana, slide.id, SIZE, 4, batch_tiles=batch_tiles, columns=columns)
    for number in range(batches):
        score(archive, run_id, number, [1.0] * batch_tiles, columns=columns)
    batch_bytes = batch_tiles * columns * 4
    monkeypatch.setattr(plans, "_PAGE_BYTES", 2 * batch_bytes)
    tracemalloc.start()
    try:
        found = archive.heat_maps.find(ana, slide.id)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.heat.scored == batches * batch_tiles
    assert peak_bytes < 10 * batch_bytes


def test_a_run_whose_scores_are_slow_to_read_holds_up_no_other(
    archive: Archive, ana: Actor, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = read_already(archive, put_slide(archive, ana, b"another"))
    slow, quick = planned(archive, ana, slide), planned(archive, ana, other)
    read = plans.settled_scores
    begun, other_is_read = Event(), Event()
    found: list[int] = []

    def held_up(connection: Any, kept: Kept) -> Iterator[tuple[int, bytes]]:
        if kept.run_id == slow:
            begun.set()
            assert other_is_read.wait(10)
        return read(connection, kept)

    monkeypatch.setattr(plans, "settled_scores", held_up)
    reading = Thread(target=lambda: found.append(archive.heat_maps.find(ana, slide.id).run_id))
    reading.start()
    assert begun.wait(10)
    assert archive.heat_maps.find(ana, other.id).run_id == quick
    other_is_read.set()
    reading.join()
    assert found == [slow]


def test_what_is_cached_is_bounded(archive: Archive, ana: Actor, clock: MovableClock) -> None:
    slides = [read_already(archive, put_slide(archive, ana, bytes([number]))) for number in range(4)]
    runs = [planned(archive, ana, slide) for slide in slides]
    one = archive.heat_maps.find(ana, slides[0].id).heat.size_bytes + 64
    maps = HeatMaps(archive.database, archive.renditions, archive.trail, clock, most_cached_bytes=2 * one)
    for slide in (*slides[:2], slides[0], slides[2]):
        maps.find(ana, slide.id)
    assert list(maps._cache) == [runs[0], runs[2]], "what was looked at longest ago goes first"
    tiny = HeatMaps(archive.database, archive.renditions, archive.trail, clock, most_cached_bytes=0)
    for slide in slides:
        assert tiny.find(ana, slide.id).heat.scored == 0
        assert len(tiny._cache) == 1


def test_a_plan_that_is_made_anew_is_not_mistaken_for_the_old_one(
    archive: Archive, ana: Actor, slide: Slide, clock: MovableClock
) -> None:
    """As another version of Pinakes makes it, which goes on with the run."""
    run_id = planned(archive, ana, slide)
    score(archive, run_id, 0, [1.0] * 4)
    assert seen(archive, ana, slide)[0] == [COLOURS] * 4
    clock.advance(1)
    with archive.database.write() as transaction:
        known = plans.find(transaction, run_id)
        assert known is not None
        moved = TILE.pack(0, 100, 100, 100, 1.0)
        plans.add(transaction, run_id, known, moved, archive.clock())
    score(archive, run_id, 0, [0.5])
    assert seen(archive, ana, slide) == [[NOTHING] * 4, [128, NOTHING, NOTHING, NOTHING]]


@pytest.mark.parametrize("name", ["settled_tiles", "settled_scores"])
def test_scores_that_go_while_they_are_read_are_a_heat_map_that_is_gone(
    archive: Archive, ana: Actor, slide: Slide, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run_id = planned(archive, ana, slide)
    score(archive, run_id, 0, [1.0] * 4)
    read = getattr(plans, name)

    def dropped(connection: Any, *given: Any) -> Any:
        forgetting = Thread(target=forget)
        forgetting.start()
        forgetting.join()
        return read(connection, *given)

    def forget() -> None:
        with archive.database.write() as transaction:
            run_records.forget(transaction, run_id)

    monkeypatch.setattr(plans, name, dropped)
    with pytest.raises(HeatMapUnknown):
        archive.heat_maps.find(ana, slide.id)


# -- A whole run --------------------------------------------------------------------------------------------------


def test_a_run_is_looked_at_while_it_goes_on_and_when_it_is_done(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, clock: MovableClock
) -> None:
    """The pretended slide has 40 tiles of 64 pixels in a row; the score of each is its number."""
    read_already(archive, slide, Size(64 * 40, 64))
    counts: list[int] = []

    def look(_: Pretender, first: int, __: int) -> None:
        if first:
            clock.advance(FRESH)
            counts.append(archive.heat_maps.find(ana, slide.id).heat.scored)

    stage.on_score = look
    archive.runs.start(ana, slide.id)
    work_off(archive)
    assert counts == sorted(counts)
    assert 0 < counts[-1] < 40
    found = archive.heat_maps.find(ana, slide.id)
    assert (found.heat.scored, found.heat.range) == (40, (0.0, 39.0))
    steps = archive.heat_maps.picture(ana, found, Rect(0, 0, 64 * 40, 64), Size(40, 1)).steps
    assert steps[0].tolist() == (1 + np.rint(np.arange(40) / 39 * 254)).tolist()


def test_a_run_that_is_done_keeps_its_own_while_the_next_one_goes_on(
    archive: Archive, ana: Actor, slide: Slide
) -> None:
    archive.runs.start(ana, slide.id)
    work_off(archive)
    done = archive.heat_maps.find(ana, slide.id)
    following = planned(archive, ana, slide)
    assert archive.heat_maps.find(ana, slide.id).run_id == following
    assert archive.heat_maps.find(ana, slide.id, done.run_id).heat is done.heat
    archive.runs.stop(ana, slide.id)
    assert archive.heat_maps.find(ana, slide.id).run_id == done.run_id
