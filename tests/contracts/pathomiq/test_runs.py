"""PathomIQ contract 3.2 and 4.3: starting and stopping predictions over HTTP, and what a slide shows meanwhile."""

import pytest

from pinakes.core.audit import Action, of_image
from tests.contracts.pathomiq.conftest import (
    NOBODYS_UID,
    ONE_BACKEND,
    Client,
    Json,
    World,
    answered,
    in_threads,
    refused,
    share,
)
from tests.core.slides.working import begin, work_off

STAGES = ("tissuearea_status", "tiling_status", "annotation_status")


def stages(image: Json) -> tuple[str, ...]:
    return tuple(image[name] for name in STAGES)


def start(client: Client, image: Json) -> Json:
    answer: Json = answered(client.get(f"/Images/startpredict/{image['image_unique_id']}"))
    assert answer["success"] is True
    assert answer["status"]
    return answer["image"]  # type: ignore[no-any-return]


def stop(client: Client, image: Json) -> Json:
    answer: Json = answered(client.get(f"/Images/stoppredict/{image['image_unique_id']}"))
    assert answer["success"] is True
    return answer["image"]  # type: ignore[no-any-return]


def test_3_2_what_is_not_uploaded_is_not_predicted(world: World, ana: Client) -> None:
    image = ana.create()
    uid = image["image_unique_id"]
    for verb in ("startpredict", "stoppredict"):
        body = refused(ana.get(f"/Images/{verb}/{uid}"), 409)
        assert body["image"] == ana.show(image)
    world.stage(image)
    refused(ana.get(f"/Images/startpredict/{uid}"), 409)


def test_3_2_without_an_analyser_a_run_fails_and_says_so(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    queued = start(ana, image)
    assert stages(queued) == ("Pending", "Pending", "Pending")
    assert queued["moddate"] > image["moddate"]
    body = refused(ana.get(f"/Images/startpredict/{image['image_unique_id']}"), 409)
    assert body["image"] == ana.show(image)
    work_off(world.archive)
    failed = ana.show(image)
    assert stages(failed) == ("Failed", "Pending", "Pending")
    assert (failed["tissue_area"], failed["metric"], failed["outcome_prediction"]) == (None, None, None)
    assert ana.log(image, "Prediction") == [
        "The prediction is queued.",
        "The prediction has started.",
        "The prediction failed: No analyser is installed.",
    ]
    assert ana.log(image, "TissueArea") == ["TissueArea is running.", "TissueArea failed: No analyser is installed."]
    refused(ana.get(f"/Images/stoppredict/{image['image_unique_id']}"), 409)
    assert stages(start(ana, image)) == ("Pending", "Pending", "Pending")


def test_3_2_a_running_stage_is_shown_and_a_stop_ends_it(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    start(ana, image)
    begin(world.archive)
    assert stages(ana.show(image)) == ("Running", "Pending", "Pending")
    assert stages(stop(ana, image)) == ("Stopped", "Stopped", "Stopped")
    assert refused(ana.get(f"/Images/stoppredict/{image['image_unique_id']}"), 409)["image"] == ana.show(image)
    assert ana.log(image, "Prediction")[-1] == "The prediction was stopped."
    lines = answered(ana.get(f"/LogInfo/{image['image_unique_id']}"))
    assert lines[-1]["userid"] == ana.user_id
    assert stages(start(ana, image)) == ("Pending", "Pending", "Pending")


def test_3_2_a_queued_run_can_be_stopped(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    start(ana, image)
    assert stages(stop(ana, image)) == ("Stopped", "Stopped", "Stopped")
    with pytest.raises(ValueError, match="not enough values"):
        begin(world.archive)  # nothing waits any more


def test_3_2_of_many_starts_at_once_one_wins(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    actor = world.archive.credentials.actor("pathomiq", ana.token or "")
    outcomes = in_threads(8, lambda _: world.archive.runs.start(actor, image["image_unique_id"]))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Slide"] + ["WrongState"] * 7
    assert ana.log(image, "Prediction") == ["The prediction is queued."]


def test_3_2_of_many_stops_at_once_one_wins(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    start(ana, image)
    actor = world.archive.credentials.actor("pathomiq", ana.token or "")
    outcomes = in_threads(8, lambda _: world.archive.runs.stop(actor, image["image_unique_id"]))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Slide"] + ["WrongState"] * 7


@ONE_BACKEND
def test_4_3_head_and_options_start_and_stop_nothing(world: World, ana: Client, nobody: Client, ben: Client) -> None:
    image = world.uploaded(ana)
    for verb in ("startpredict", "stoppredict"):
        path = f"/Images/{verb}/{image['image_unique_id']}"
        assert ana.head(path).status_code == 200
        assert ana.head(path).content == b""
        assert ana.request("OPTIONS", path).status_code == 200
        assert ben.head(path).status_code == 404
        assert nobody.head(path).status_code == 401
        assert ana.show(image) == image
        if verb == "startpredict":
            image = start(ana, image)
    assert stages(image) == ("Pending", "Pending", "Pending")
    assert ana.log(image, "Prediction") == ["The prediction is queued."]


@ONE_BACKEND
def test_4_3_post_works_like_get_and_no_answer_may_be_kept(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    for verb in ("startpredict", "stoppredict"):
        answer = ana.post(f"/Images/{verb}/{image['image_unique_id']}")
        assert answered(answer)["image"] == ana.show(image)
        assert answer.headers["cache-control"] == "no-store"


@ONE_BACKEND
def test_4_3_an_image_nobody_may_see_is_unknown(world: World, ana: Client, ben: Client) -> None:
    image = world.uploaded(ana)
    for verb in ("startpredict", "stoppredict"):
        for client, uid in ((ana, NOBODYS_UID), (ben, image["image_unique_id"]), (ana, "%00"), (ana, "9" * 5000)):
            assert "image" not in refused(client.get(f"/Images/{verb}/{uid}"), 404)


def test_d3_a_member_starts_and_stops_too_and_a_former_one_does_not(world: World, ana: Client, ben: Client) -> None:
    image = world.uploaded(ana)
    share(ana, image, ben)
    start(ben, image)
    stop(ana, image)
    start(ana, image)
    stop(ben, image)
    uid = image["image_unique_id"]
    answered(ana.post("/Images/removeuser", json={"userid": ben.user_id, "imageid": uid}))
    refused(ben.get(f"/Images/startpredict/{uid}"), 404)


@ONE_BACKEND
def test_a_start_needs_the_scope_to_change(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    reader = world.user("ana", scope="image:read")
    for verb in ("startpredict", "stoppredict"):
        path = f"/Images/{verb}/{image['image_unique_id']}"
        refused(reader.get(path), 403)
        assert reader.head(path).status_code == 403


def test_starts_and_stops_are_in_the_audit_trail(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    start(ana, image)
    stop(ana, image)
    with world.archive.database.read() as connection:
        told = [(event.action, event.actor_id) for event in of_image(connection, image["id"])]
    assert (Action.RUN_START, ana.user_id) in told
    assert (Action.RUN_STOP, ana.user_id) in told


def test_4_10_a_delete_stops_the_run_first(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    start(ana, image)
    claim = begin(world.archive)
    answered(ana.delete(f"/Images/{image['image_unique_id']}"))
    actor = world.archive.credentials.actor("pathomiq", ana.token or "")
    assert world.archive.jobs.get(actor, claim.job_id).state == "cancelled"
