"""Runs through the native API: started, stopped, looked at, followed; of a study too (issue 5, items 4 and 5)."""

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pinakes.apis.native import runs as native_runs
from pinakes.core.actor import Kind
from pinakes.core.analysis import results
from pinakes.core.archive import Archive
from pinakes.core.slides import prediction
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.imaging.source import Unreadable
from tests.contracts.native.conftest import Client, World
from tests.core.analysis.making import put_slide
from tests.core.analysis.pretending import Pretender, Stage
from tests.core.namespaces.making import SYSTEM
from tests.core.slides.working import attempt, begin, work_off
from tests.statements import counted_statements

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)  # tests/core/analysis runs on both


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def archive_options(stage: Stage) -> dict[str, Any]:
    return {"analysis": stage.options()}


@pytest.fixture
def pat(world: World) -> Client:
    return world.user("pat", Kind.SLIDE)


@pytest.fixture
def slide(archive: Archive, pat: Client) -> Slide:
    return slide_of(archive, pat)


def slide_of(archive: Archive, client: Client, study: str | None = None) -> Slide:
    assert client.token is not None
    return put_slide(archive, archive.credentials.actor("native", client.token), b"invented", study=study)


def started(client: Client, slide: Slide, **members: Any) -> Any:
    answer = client.post(f"/images/{slide.id}/runs", json=members)
    assert answer.status_code == 201, answer.text
    return answer.json()


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_run_is_started_looked_at_and_its_result_tells_where_it_comes_from(
    archive: Archive, pat: Client, slide: Slide
) -> None:
    run = started(pat, slide)
    assert (run["state"], run["stage"], run["model"], run["result"]) == ("queued", None, None, None)
    path = f"/images/{slide.id}/runs/{run['id']}"
    assert pat.get(path).json() == run
    work_off(archive)
    done = pat.get(path).json()
    assert (done["state"], done["tiles_done"], done["tiles_total"], done["seconds_left"]) == ("done", 40, 40, None)
    result = done["result"]
    assert result["annotation"] == 1
    assert result["model"] == {
        "name": "pretended",
        "version": "1.0",
        "sha256": None,
        "files_sha256": None,
        "kind": "classical",
    }
    assert slide.content is not None
    assert result["input_sha256"] == slide.content.digest
    assert set(result) == {
        "annotation", "model", "input_sha256", "parameters", "software_version", "host", "started_at", "ended_at",
    }  # fmt: skip
    assert pat.get(f"/images/{slide.id}/runs").json() == {"items": [done], "next_cursor": None}
    (annotation,) = pat.get(f"/images/{slide.id}/annotations").json()["items"]
    assert (annotation["number"], annotation["run"]) == (1, run["id"])


def test_the_stage_and_how_far_it_is_are_told_while_it_runs(
    archive: Archive, pat: Client, slide: Slide, stage: Stage
) -> None:
    run = started(pat, slide)
    seen: list[Any] = []

    def look(_: Pretender, first: int, __: int) -> None:
        if first >= 20:
            with archive.database.read() as connection:
                found = results.find(connection, slide.id, run["id"])
                assert found is not None
                seen.append((found, found.seconds_left))

    stage.on_score = look
    work_off(archive)
    found, left = seen[0]
    assert (found.stage.name, found.tiles_total) == ("ANNOTATION", 40)
    assert 0 < found.tiles_done < 40
    assert found.tiles_per_second > 0
    assert left == round((40 - found.tiles_done) / found.tiles_per_second, 1)


def test_a_run_is_stopped(archive: Archive, pat: Client, slide: Slide) -> None:
    started(pat, slide)
    stop = f"/images/{slide.id}/runs/current/cancel"
    answer = pat.post(stop)
    assert (answer.status_code, answer.json()["state"]) == (200, "stopped")
    assert pat.post(stop).status_code == 409
    started(pat, slide)
    assert pat.post(f"/images/{slide.id}/runs", json={}).status_code == 409


def test_lists_are_paged_newest_first(pat: Client, slide: Slide) -> None:
    ids = []
    for _ in range(3):
        ids.append(started(pat, slide)["id"])
        pat.post(f"/images/{slide.id}/runs/current/cancel")
    page = pat.get(f"/images/{slide.id}/runs?limit=2").json()
    assert [run["id"] for run in page["items"]] == ids[:0:-1]
    rest = pat.get(f"/images/{slide.id}/runs?limit=2&cursor={page['next_cursor']}").json()
    assert ([run["id"] for run in rest["items"]], rest["next_cursor"]) == (ids[:1], None)


def test_a_failed_run_says_why(archive: Archive, pat: Client, slide: Slide, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(pat, slide)

    def refuse(*_: object) -> None:
        raise Unreadable("The slide is damaged.")

    monkeypatch.setattr(Pretender, "begin", refuse)
    work_off(archive)
    failed = pat.get(f"/images/{slide.id}/runs/{run['id']}").json()
    assert (failed["state"], failed["error"]) == ("failed", "The slide is damaged.")


# -- Following ----------------------------------------------------------------------------------------------------


def test_a_run_that_has_ended_is_followed_to_its_end_at_once(archive: Archive, pat: Client, slide: Slide) -> None:
    run = started(pat, slide)
    work_off(archive)
    path = f"/images/{slide.id}/runs/{run['id']}/events"
    answer = pat.get(path)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    ((name, data),) = events_of(answer.text)
    assert (name, data["state"], data["tiles_done"]) == ("end", "done", 40)
    head = pat.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_a_run_is_followed_until_it_ends(
    archive: Archive, pat: Client, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_runs, "_LOOK_SECONDS", 0.05)
    run = started(pat, slide)

    async def follow_and_work() -> str:
        following = asyncio.create_task(pat._request("GET", f"/images/{slide.id}/runs/{run['id']}/events", {}))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(work_off, archive)
        return (await following).text

    found = events_of(pat.loop.run_until_complete(follow_and_work()))
    assert [name for name, _ in found] == ["progress"] * (len(found) - 1) + ["end"]
    assert found[0][1]["state"] == "queued"
    assert found[-1][1]["state"] == "done"
    assert all(one != other for one, other in pairwise(found))


@pytest.mark.parametrize("bound", ["_MOST_STREAMS", "_MOST_STREAMS_OF_USER"])
def test_streams_are_bounded_and_given_back(
    archive: Archive, pat: Client, slide: Slide, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(native_runs, bound, 2)
    monkeypatch.setattr(native_runs, "_LOOK_SECONDS", 0.05)
    path = f"/images/{slide.id}/runs/{started(pat, slide)['id']}/events"

    async def follow() -> list[int]:
        following = [asyncio.create_task(pat._request("GET", path, {})) for _ in range(4)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(work_off, archive)
        return sorted([(await one).status_code for one in following])

    assert pat.loop.run_until_complete(follow()) == [200, 200, 503, 503]
    assert pat.get(path).status_code == 200


def test_a_stream_ends_with_its_slide(
    archive: Archive, pat: Client, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_runs, "_LOOK_SECONDS", 0.05)
    path = f"/images/{slide.id}/runs/{started(pat, slide)['id']}/events"
    assert pat.token is not None
    actor = archive.credentials.actor("native", pat.token)

    async def follow() -> str:
        following = asyncio.create_task(pat._request("GET", path, {}))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(archive.slides.delete, actor, slide.uid)
        return (await following).text

    assert [name for name, _ in events_of(pat.loop.run_until_complete(follow()))] == ["progress"]
    assert pat.get(path).status_code == 404


def test_a_stream_ends_with_its_token(
    archive: Archive, pat: Client, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_runs, "_LOOK_SECONDS", 0.05)
    path = f"/images/{slide.id}/runs/{started(pat, slide)['id']}/events"

    async def follow() -> str:
        following = asyncio.create_task(pat._request("GET", path, {}))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(archive.users.set_active, SYSTEM, "pat", False)
        return (await following).text

    assert [name for name, _ in events_of(pat.loop.run_until_complete(follow()))] == ["progress"]


# -- A study ------------------------------------------------------------------------------------------------------


def test_a_study_is_started_as_far_as_it_can_be(
    archive: Archive, world: World, pat: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slides = [slide_of(archive, pat, "S-1") for _ in range(5)]
    slide_of(archive, pat, "S-2")
    slide_of(archive, world.user("oli", Kind.SLIDE), "S-1")
    started(pat, slides[1])
    kind = archive.jobs.kinds[prediction.PREDICT]
    monkeypatch.setitem(archive.jobs._kinds, prediction.PREDICT, replace(kind, most_per_user=3))
    done = pat.post("/study-runs", json={"study": "S-1"}).json()
    assert [run["image_id"] for run in done["started"]] == [slides[0].id, slides[2].id]
    assert [one["image_id"] for one in done["not_started"]] == [slides[3].id, slides[4].id]
    reason = "Too many jobs are waiting or running; let some end, or cancel them."
    assert [one["reason"] for one in done["not_started"]] == [reason] * 2


def test_asking_again_goes_on_until_all_of_a_study_are_predicted(
    archive: Archive, pat: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slides = [slide_of(archive, pat, "2023/17") for _ in range(5)]
    kind = archive.jobs.kinds[prediction.PREDICT]
    monkeypatch.setitem(archive.jobs._kinds, prediction.PREDICT, replace(kind, most_per_user=2))

    def ask(**more: object) -> list[int]:
        started = [
            run["image_id"] for run in pat.post("/study-runs", json={"study": "2023/17", **more}).json()["started"]
        ]
        for _ in started:
            work_off(archive)
        return started

    ids = [slide.id for slide in slides]
    assert [ask() for _ in range(4)] == [ids[:2], ids[2:4], ids[4:], []]
    assert [ask(again=True) for _ in range(3)] == [ids[:2], ids[2:4], [ids[4], ids[0]]]


def test_to_start_a_study_takes_as_many_statements_a_slide_however_large_it_is(archive: Archive, pat: Client) -> None:
    def statements(study: str, count: int) -> float:
        for _ in range(count):
            slide_of(archive, pat, study)
        with counted_statements(archive.database.engine) as counted:
            pat.post("/study-runs", json={"study": study})
        return len(counted) / count

    assert statements("large", 12) <= statements("small", 3)


@pytest.mark.parametrize("study", ["S-9", "\0", "x" * 256, "\ud800", "x" * 5000, "", None, 5])
def test_a_study_nobody_has_is_refused(pat: Client, slide: Slide, study: object) -> None:
    content = json.dumps({"study": study}).encode()
    answer = pat.post("/study-runs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == (404 if study == "S-9" else 400)


# -- What is refused ----------------------------------------------------------------------------------------------


def test_runs_are_for_those_who_may_see_the_slide(
    archive: Archive, world: World, pat: Client, nobody: Client, slide: Slide
) -> None:
    run = started(pat, slide)
    other = world.user("oli", Kind.SLIDE)
    machinist = world.user("max", Kind.MACHINE)
    reader = world.user("pat", scope="image:read")
    for method, path in (
        ("GET", f"/images/{slide.id}/runs"),
        ("GET", f"/images/{slide.id}/runs/{run['id']}"),
        ("GET", f"/images/{slide.id}/runs/{run['id']}/events"),
        ("POST", f"/images/{slide.id}/runs"),
        ("POST", f"/images/{slide.id}/runs/current/cancel"),
        ("POST", "/study-runs"),
    ):
        body: dict[str, Any] = {"json": {"study": "S-1"} if path == "/study-runs" else {}} if method == "POST" else {}
        assert nobody.request(method, path, **body).status_code == 401, path
        assert other.request(method, path, **body).status_code == 404, path
        assert machinist.request(method, path, **body).status_code == 403, path
        if method == "POST":
            assert reader.request(method, path, **body).status_code == 403, path


def test_runs_of_other_slides_are_unknown(archive: Archive, pat: Client, slide: Slide) -> None:
    run = started(pat, slide)
    beside = slide_of(archive, pat)
    for path in (f"/images/{beside.id}/runs/{run['id']}", f"/images/{slide.id}/runs/{2**63 - 1}"):
        assert pat.get(path).status_code == 404
        assert pat.get(f"{path}/events").status_code == 404
    assert pat.get(f"/images/{slide.id}/runs/{'9' * 5000}").status_code == 404


@pytest.mark.parametrize("model", ["nothing@1", "", "x" * 202, 5, True, ["classical"], {"a": 1}, "\0", "\ud800"])
def test_a_model_that_is_none_is_refused(pat: Client, slide: Slide, model: Any) -> None:
    content = json.dumps({"model": model}).encode()
    headers = {"Content-Type": "application/json"}
    answer = pat.post(f"/images/{slide.id}/runs", content=content, headers=headers)
    assert answer.status_code == 400, answer.text
    assert pat.get(f"/images/{slide.id}/runs").json()["items"] == []


def test_an_image_without_bytes_is_not_predicted(archive: Archive, pat: Client) -> None:
    assert pat.token is not None
    empty = archive.slides.create(archive.credentials.actor("native", pat.token), NewSlide("a.svs"))
    assert pat.post(f"/images/{empty.id}/runs", json={}).status_code == 409


def test_what_is_built_in_can_be_asked_for(archive: Archive, pat: Client, slide: Slide) -> None:
    assert started(pat, slide, model="classical")["model"] == "classical"
    attempt(archive, begin(archive)).run()
    assert pat.get(f"/images/{slide.id}/runs").json()["items"][0]["model"] == "pretended@1.0"
