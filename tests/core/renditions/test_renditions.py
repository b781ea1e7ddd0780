"""Renditions: who may see a picture, what of it, and that it is made once (issue 4, parts 3 and 6)."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pinakes.core.actor import Actor, Scope, Visibility
from pinakes.core.archive import Archive
from pinakes.core.audit import Action, of_image
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.catalogue.versions import VersionChanges
from pinakes.core.clock import MINUTE
from pinakes.core.errors import (
    AssociatedUnknown,
    ContentPending,
    DecodingUnavailable,
    ImageUnknown,
    InvalidFields,
    NotAnImage,
    PictureTooLarge,
    ScopeMissing,
    VersionUnknown,
)
from pinakes.core.renditions.renditions import RegionWanted, fitted
from pinakes.core.renditions.wanted import PictureFormat, key_of
from pinakes.core.slides.records import NewSlide
from pinakes.imaging.decoding.requests import DecodeRequest, Describe, MapTiles
from pinakes.imaging.source import Rect, Size
from tests.conftest import MovableClock
from tests.core.renditions.conftest import add_photograph, add_slide, files_below, opened, thumbnail, tile
from tests.core.renditions.decoding import DecoderHere, die
from tests.imaging.making_photographs import one_colour

ANYONE = Actor("native")


def pictures_asked(decoder: DecoderHere) -> list[DecodeRequest]:
    return [request for request in decoder.asked if not isinstance(request, Describe)]


def views_of(archive: Archive, image_id: int) -> list[int | None]:
    """Who looked, as the trail has it."""
    archive.trail.flush()
    with archive.database.read() as connection:
        return [event.actor_id for event in of_image(connection, image_id) if event.action == Action.IMAGE_VIEW]


# -- What is known ------------------------------------------------------------------------------------------------


def test_a_picture_is_described_at_once_before_any_job_has_read_it(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    image_id = add_photograph(archive, ana, photograph)
    viewed = archive.renditions.info(ana, image_id)
    assert (viewed.size, viewed.description.format, viewed.version_name) == (Size(200, 300), "jpeg", "1.0")
    assert archive.renditions.info(ana, image_id) == viewed
    assert len(decoder.asked) == 1  # the second time it was in the database


def test_a_slide_is_described_with_its_levels_and_its_scale(archive: Archive, ana: Actor, svs: bytes) -> None:
    image_id = add_slide(archive, ana, svs)
    read = archive.renditions.info(ana, image_id)
    kept = archive.renditions.info(ana, image_id)
    assert kept == read
    assert [level.size for level in kept.description.levels] == [Size(1200, 900), Size(300, 225)]
    assert kept.description.levels[0].tile == Size(240, 240)
    assert kept.description.mpp is not None


def test_what_has_no_pixels_is_not_an_image(archive: Archive, ana: Actor) -> None:
    disk = bytearray(4096)
    disk[510:512] = b"\x55\xaa"
    image_id = add_slide(archive, ana, bytes(disk))
    with pytest.raises(NotAnImage, match="no pixels"):
        archive.renditions.info(ana, image_id)


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_a_picture_of_too_many_pixels_is_shown_small_and_says_why_not_otherwise(archive: Archive, ana: Actor) -> None:
    image_id = add_photograph(archive, ana, one_colour(20_000))
    with pytest.raises(NotAnImage, match="300000000 pixels, and is not stored in parts: it is only shown small"):
        archive.renditions.info(ana, image_id)
    assert opened(thumbnail(archive, ana, image_id, 64).content).size == (64, 64)
    viewed = archive.renditions.info(ana, image_id, in_small=True)
    assert (viewed.size, viewed.description.levels) == (Size(20_000, 20_000), ())
    with pytest.raises(PictureTooLarge, match="only shown small"):
        archive.renditions.region(ana, viewed, RegionWanted(Rect(0, 0, 256, 256), Size(256, 256)))


def test_what_cannot_be_read_is_kept_and_says_why(archive: Archive, ana: Actor, decoder: DecoderHere) -> None:
    image_id = add_photograph(archive, ana, b"\xff\xd8\xff this is no photograph")
    for _ in range(2):
        with pytest.raises(NotAnImage) as refusal:
            archive.renditions.info(ana, image_id)
        assert len(refusal.value.message) > 10
    assert len(decoder.asked) == 1
    assert archive.images.get(ana, image_id).content.format == "jpeg"


def test_a_decoder_that_dies_is_unavailable_and_nothing_is_noted(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    image_id = add_photograph(archive, ana, photograph)
    decoder.before = die
    with pytest.raises(DecodingUnavailable):
        archive.renditions.info(ana, image_id)
    decoder.before = lambda _: None
    viewed = archive.renditions.info(ana, image_id)
    decoder.before = die
    with pytest.raises(DecodingUnavailable):
        thumbnail(archive, ana, image_id, 100)
    decoder.before = lambda _: None
    assert archive.renditions.region(ana, viewed, whole(viewed.size)).content


def test_an_image_without_content_and_a_version_that_is_not_there(archive: Archive, ana: Actor, svs: bytes) -> None:
    empty = archive.slides.create(ana, NewSlide("b.svs"))
    with pytest.raises(ContentPending):
        archive.renditions.info(ana, empty.id)
    image_id = add_slide(archive, ana, svs)
    assert archive.renditions.info(ana, image_id, "1.0").version_name == "1.0"
    for name in ("9.9", "", "1.0' OR '1'='1", "\0", "x" * 5000):
        with pytest.raises(VersionUnknown):
            archive.renditions.info(ana, image_id, name)


@pytest.mark.parametrize("image_id", [0, -1, 4711, 2**63 - 1, 2**63, 10**30])
def test_an_id_of_no_image_is_unknown(archive: Archive, ana: Actor, image_id: int) -> None:
    with pytest.raises(ImageUnknown):
        archive.renditions.info(ana, image_id)


# -- Who may see it -----------------------------------------------------------------------------------------------


def test_nobody_sees_a_picture_they_may_not_see(archive: Archive, ana: Actor, ben: Actor, svs: bytes) -> None:
    image_id = add_slide(archive, ana, svs)
    thumbnail(archive, ana, image_id, 100)
    for actor in (ben, ANYONE, replace(ana, kinds=frozenset())):
        with pytest.raises(ImageUnknown):
            archive.renditions.info(actor, image_id)
        with pytest.raises(ImageUnknown):
            thumbnail(archive, actor, image_id, 100)  # which is in the cache
    with pytest.raises(ScopeMissing):
        archive.renditions.info(replace(ana, scope=Scope.parse("namespace:read")), image_id)


def test_a_label_is_shown_only_to_those_who_may_see_identity(
    archive: Archive, ana: Actor, ben: Actor, svs: bytes
) -> None:
    image_id = add_slide(archive, ana, svs)
    slide = archive.slides.find(ana, image_id)
    assert ben.user_id is not None
    archive.slide_sharing.add(ana, slide.uid, [ben.user_id])
    owners, shared = archive.renditions.info(ana, image_id), archive.renditions.info(ben, image_id)
    assert (owners.may_see_identity, shared.may_see_identity) == (True, False)
    assert set(owners.description.associated) == {"thumbnail", "label", "macro"}
    assert shared.description.associated == ("thumbnail",)
    assert archive.renditions.associated(ana, owners, "label").media_type == "image/jpeg"
    assert archive.renditions.associated(ben, shared, "thumbnail").content
    for name in ("label", "macro", "no such"):
        with pytest.raises(AssociatedUnknown):
            archive.renditions.associated(ben, shared, name)


def test_a_rendition_carries_nothing_of_the_identity_in_the_file(
    archive: Archive, ana: Actor, photograph: bytes
) -> None:
    assert b"Exif" in photograph
    made = thumbnail(archive, ana, add_photograph(archive, ana, photograph), 128)
    assert b"Exif" not in made.content
    assert not opened(made.content).getexif()


def test_a_clinical_image_and_a_slide_are_never_public(
    archive: Archive, ana: Actor, photograph: bytes, svs: bytes
) -> None:
    assert not archive.renditions.info(ana, add_photograph(archive, ana, photograph)).is_public
    assert not archive.renditions.info(ana, add_slide(archive, ana, svs)).is_public


# -- Pictures -----------------------------------------------------------------------------------------------------


def whole(size: Size) -> RegionWanted:
    return RegionWanted(Rect(0, 0, size.width, size.height), size)


@pytest.mark.parametrize("format", list(PictureFormat))
def test_a_thumbnail_has_the_long_side_asked_for(
    archive: Archive, ana: Actor, photograph: bytes, format: PictureFormat
) -> None:
    image_id = add_photograph(archive, ana, photograph)
    made = thumbnail(archive, ana, image_id, 150, format)
    assert made.media_type == f"image/{format}"
    if format is not PictureFormat.AVIF:  # which not every Pillow reads
        assert opened(made.content).size == (100, 150)
    assert opened(thumbnail(archive, ana, image_id, 2048).content).size == (200, 300)  # never enlarged


def test_a_stored_tile_is_given_as_it_lies_in_the_file_and_not_cached_again(
    archive: Archive, ana: Actor, decoder: DecoderHere, svs: bytes, tmp_path: Path
) -> None:
    image_id = add_slide(archive, ana, svs)
    viewed = archive.renditions.info(ana, image_id)
    wanted = RegionWanted(Rect(240, 480, 240, 240), Size(240, 240))
    stored, again = (archive.renditions.region(ana, viewed, wanted) for _ in range(2))
    assert opened(stored.content).size == (240, 240)
    assert stored.content[-500:] in svs  # the entropy coded data is untouched
    assert again == stored
    assert files_below(tmp_path / "cache" / "renditions") == []
    assert [type(request) for request in pictures_asked(decoder)] == [MapTiles]  # once for both, and that is all


def test_a_tile_at_the_edge_is_cut_off(archive: Archive, ana: Actor, svs: bytes) -> None:
    viewed = archive.renditions.info(ana, add_slide(archive, ana, svs))
    edge = tile(archive, ana, viewed, (0, 4, 3), 240, PictureFormat.PNG)
    assert opened(edge.content).size == (240, 180)


def test_a_region_outside_and_one_of_too_many_pixels_are_refused(archive: Archive, ana: Actor, svs: bytes) -> None:
    viewed = archive.renditions.info(ana, add_slide(archive, ana, svs))
    with pytest.raises(InvalidFields, match="region"):
        archive.renditions.region(ana, viewed, RegionWanted(Rect(1199, 0, 2, 2), Size(2, 2)))
    with pytest.raises(InvalidFields, match="region"):
        archive.renditions.region(ana, viewed, replace(whole(Size(10, 10)), frame=7))
    with pytest.raises(PictureTooLarge):
        archive.renditions.region(ana, viewed, RegionWanted(Rect(0, 0, 1200, 900), Size(100_000, 100_000)))


def test_what_was_made_is_not_made_again(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes, tmp_path: Path
) -> None:
    image_id = add_photograph(archive, ana, photograph)
    first = thumbnail(archive, ana, image_id, 100)
    assert thumbnail(archive, ana, image_id, 100) == first
    assert len(pictures_asked(decoder)) == 1
    shutil.rmtree(tmp_path / "cache")
    assert thumbnail(archive, ana, image_id, 100) == first  # it is in memory, too
    assert thumbnail(archive, ana, image_id, 90) != first
    assert len(pictures_asked(decoder)) == 2
    assert files_below(tmp_path / "cache" / "renditions")  # and what is made goes there again


def test_many_who_ask_for_one_picture_at_once_have_it_decoded_once(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    viewed = archive.renditions.info(ana, add_photograph(archive, ana, photograph))
    everybody = threading.Barrier(16)
    waiting = threading.Event()
    decoder.before = lambda _: assert_true(waiting.wait(10))

    def ask(_: int) -> bytes:
        everybody.wait()
        return archive.renditions.region(ana, viewed, whole(viewed.size)).content

    with ThreadPoolExecutor(16) as pool:
        asking = [pool.submit(ask, number) for number in range(16)]
        waiting.set()
        assert len({one.result() for one in asking}) == 1
    assert len(pictures_asked(decoder)) == 1


def assert_true(value: bool) -> None:
    assert value


def test_the_etag_is_known_before_the_picture_is_made(archive: Archive, ana: Actor, photograph: bytes) -> None:
    viewed = archive.renditions.info(ana, add_photograph(archive, ana, photograph))
    wanted = archive.renditions.thumbnail_wanted(viewed, 100, PictureFormat.PNG)
    made = thumbnail(archive, ana, viewed.image_id, 100, PictureFormat.PNG)
    assert made.etag == archive.renditions.etag(viewed, wanted)
    others = [
        replace(wanted, size=Size(50, 75)),
        replace(wanted, rotation=90.0),
        replace(wanted, mirrored=True),
        replace(wanted, quality="gray"),
        replace(wanted, format=PictureFormat.JPEG),
        replace(wanted, frame=1),
        replace(wanted, rect=Rect(0, 0, 199, 300)),
    ]
    keys = {key_of(viewed.digest, other) for other in [wanted, *others]} | {key_of("0" * 64, wanted)}
    assert len(keys) == len(others) + 2


def test_a_picture_deleted_since_it_was_found_is_unknown(archive: Archive, ana: Actor, svs: bytes) -> None:
    image_id = add_slide(archive, ana, svs)
    viewed = archive.renditions.info(ana, image_id)
    archive.slides.delete(ana, archive.slides.find(ana, image_id).uid)
    with pytest.raises(ImageUnknown):
        archive.renditions.region(ana, viewed, whole(Size(100, 100)))


def test_a_picture_deleted_while_it_is_read_is_unknown(
    archive: Archive, ana: Actor, decoder: DecoderHere, svs: bytes
) -> None:
    image_id = add_slide(archive, ana, svs)
    viewed = archive.renditions.info(ana, image_id)

    def delete(request: DecodeRequest) -> None:
        archive.slides.delete(ana, archive.slides.find(ana, image_id).uid)
        die(request)

    decoder.before = delete
    with pytest.raises(ImageUnknown):
        archive.renditions.region(ana, viewed, whole(Size(100, 100)))


def test_pictures_of_deleted_content_are_swept_from_the_cache(
    archive: Archive, ana: Actor, photograph: bytes, svs: bytes, tmp_path: Path
) -> None:
    gone, kept = add_slide(archive, ana, svs), add_photograph(archive, ana, photograph)
    for image_id in (gone, kept):
        thumbnail(archive, ana, image_id, 100)
    archive.slides.delete(ana, archive.slides.find(ana, gone).uid)
    archive.renditions.sweep()
    digest = archive.images.get(ana, kept).content.digest
    left = files_below(tmp_path / "cache")
    assert {path.parent.parent.name + path.parent.name for path in left if "renditions" in path.parts[:-3]} == {digest}
    assert not [path for path in left if path.parent.name == "content" and path.name not in (digest, "lock")]


# -- The trail ----------------------------------------------------------------------------------------------------


def test_looking_is_told_once_a_minute_however_many_tiles_that_takes(
    archive: Archive, ana: Actor, clock: MovableClock, svs: bytes
) -> None:
    viewed = archive.renditions.info(ana, add_slide(archive, ana, svs))
    clock.now -= clock.now % MINUTE
    assert views_of(archive, viewed.image_id) == []
    for column in range(5):
        tile(archive, ana, viewed, (0, column, 0), 240)
    assert views_of(archive, viewed.image_id) == [ana.user_id]
    clock.advance(MINUTE)
    tile(archive, ana, viewed, (0, 0, 0), 240)
    assert views_of(archive, viewed.image_id) == [ana.user_id, ana.user_id]


def test_two_processes_tell_of_the_same_minute_once(archive: Archive, ana: Actor, svs: bytes) -> None:
    viewed = archive.renditions.info(ana, add_slide(archive, ana, svs))
    tile(archive, ana, viewed, (0, 0, 0), 240)
    archive.renditions._views._noted.clear()  # as another process would know nothing of it
    tile(archive, ana, viewed, (0, 0, 0), 240)
    assert views_of(archive, viewed.image_id) == [ana.user_id]


def test_who_saw_a_patient_can_be_answered(archive: Archive, ana: Actor, ben: Actor, photograph: bytes) -> None:
    image_id = add_photograph(archive, ana, photograph)
    thumbnail(archive, ben, image_id, 100)
    archive.trail.flush()
    with archive.database.read() as connection:
        (seen,) = [event for event in of_image(connection, image_id) if event.action == Action.IMAGE_VIEW]
    assert (seen.actor_id, seen.patient_id is not None) == (ben.user_id, True)


def test_closing_the_archive_closes_the_decoder(archive: Archive, decoder: DecoderHere) -> None:
    archive.close()
    assert decoder.is_closed


@pytest.mark.parametrize(
    ("size", "side", "fits"),
    [
        (Size(4000, 3000), 400, Size(400, 300)),
        (Size(3, 100_000), 100, Size(1, 100)),
        (Size(50, 20), 64, Size(50, 20)),
        (Size(1, 1), 64, Size(1, 1)),
    ],
)
def test_a_fitted_size_keeps_the_shape(size: Size, side: int, fits: Size) -> None:
    assert fitted(size, side) == fits


def test_a_version_past_its_end_is_there_for_its_author_alone(
    archive: Archive, ana: Actor, ben: Actor, clock: MovableClock, photograph: bytes
) -> None:
    with archive.content.receive() as upload:
        upload.write(photograph)
        upload.finish()
        made = archive.machines.create(ana, NewMachine("alpine", visibility=Visibility.PUBLIC), upload)
    image_id = made.id
    assert archive.renditions.info(ben, image_id).is_public
    assert archive.renditions.info(ANYONE, image_id).is_public
    assert made.version is not None
    archive.versions.update(ana, made.version.id, VersionChanges(end_at=clock()))
    assert archive.renditions.info(ana, image_id).version_id == made.version.id
    for name in (None, "1.0"):
        with pytest.raises((ContentPending, VersionUnknown)):
            archive.renditions.info(ben, image_id, name)
