"""Searching the catalogue finds what reading every text would find, on both databases; and the index keeps up."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text

from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue import machine_search, machine_texts, records, tag_records
from pinakes.core.catalogue.machine_listing import CatalogueFilter
from pinakes.core.catalogue.records import NewImage
from pinakes.core.db import schema
from pinakes.core.db.engine import Database
from pinakes.core.errors import InvalidFields
from pinakes.core.page import PageRequest

# Characters whose folded forms are longer, that fold to others, that FTS and LIKE give a meaning, and beyond the BMP.
LETTERS = st.sampled_from([*"abAB%_\"'*-\\ß", "İ", "ŉ", "Σ", "ς", "語", "𝒳", "\U0010ffff"])
WORDS = st.text(LETTERS, min_size=1, max_size=6)
TEXTS = st.lists(WORDS, max_size=4).map(" ".join)
TAGS = [("ab", "Bab*"), ("ßß", "a b"), ("語", '"語%"')]
ENTRIES = st.lists(st.tuples(WORDS, TEXTS, st.sets(st.sampled_from(range(len(TAGS))))), max_size=6)


def add(archive: Archive, author: Actor, name: str, description: str | None = None, tags: Sequence[str] = ()) -> int:
    assert author.user_id is not None
    new = NewImage(Kind.MACHINE, name, author.user_id, description, visibility=Visibility.PUBLIC)
    with archive.database.write() as transaction:
        image_id = records.add(transaction, new, 1)
        records.tag(transaction, image_id, [records.ensure_tag(transaction, tag, 0)[0] for tag in tags])
    return image_id


def found(archive: Archive, search: str, page: PageRequest | None = None) -> list[int]:
    listed = archive.machine_catalogue.list(Actor("test"), CatalogueFilter(search=search), page or PageRequest())
    return [image.summary.id for image in listed.items]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES, search=st.lists(WORDS, min_size=1, max_size=3), size=st.integers(1, 4))
def test_search_finds_what_a_naive_search_finds(
    archive: Archive, ana: Actor, entries: list[tuple[str, str, set[int]]], search: list[str], size: int
) -> None:
    """Atmosphere contract F3, L2: also its pages are whole, and its count exact."""
    with archive.database.write() as transaction:
        transaction.execute(delete(schema.images))
        for name, description in TAGS:
            tag_id, is_new = records.ensure_tag(transaction, name, 0)
            if is_new:
                tag_records.change(transaction, tag_id, {"description": description})
    expected = []
    for name, description, carried in entries:
        image_id = add(archive, ana, name, description, [TAGS[number][0] for number in carried])
        texts = [name, description, *(part for number in carried for part in TAGS[number])]
        if all(any(term.casefold() in part.casefold() for part in texts) for term in search):
            expected.append(image_id)
    wanted = CatalogueFilter(search=" ".join(search))
    seen: list[int] = []
    for number in range(1, len(expected) // size + 3):
        listed = archive.machine_catalogue.list(Actor("test"), wanted, PageRequest(number, size))
        assert listed.total == len(expected)
        seen += [image.summary.id for image in listed.items]
    assert seen == expected[::-1]


def test_a_very_long_text_is_found_too(archive: Archive, ana: Actor) -> None:
    """PostgreSQL's index does not take it apart, and so always looks into it."""
    image_id = add(archive, ana, "long", "x" * 70_000 + " needle")
    other_id = add(archive, ana, "short", "needle")
    assert found(archive, "needle") == [other_id, image_id]
    assert found(archive, "nedle") == []
    assert found(archive, "x" * 5000) == [image_id]


def test_terms_of_two_characters_with_many_continuations_are_found(archive: Archive, ana: Actor) -> None:
    """SQLite gives up its index for them, and reads."""
    made = [
        add(archive, ana, "q", " ".join(f"qz{chr(first)}" for first in range(start, start + 100)))
        for start in (0x4E00, 0x5E00, 0x6E00)
    ]
    other_id = add(archive, ana, "w", "ends in wv")
    assert found(archive, "qz") == made[::-1]
    assert found(archive, "wv") == [other_id]
    assert found(archive, "zq") == []


@pytest.mark.parametrize(
    ("search", "terms"),
    [
        ("", []),
        (" ,\t\n ,", []),
        ("One two,THREE", ["three", "one", "two"]),
        ("a ab abc", ["abc"]),
        ("ab abc bcd", ["abc", "bcd"]),
        ("one\u2003two\u00a0three", ["three", "one", "two"]),
        ("Straße strasse", ["strasse"]),
    ],
)
def test_a_search_is_split_at_white_space_and_commas(search: str, terms: list[str]) -> None:
    """F3; what is part of another term is asked with it."""
    assert machine_search.terms_of(search) == terms


def test_too_many_terms_are_refused() -> None:
    with pytest.raises(InvalidFields, match="search"):
        machine_search.terms_of(" ".join(f"term{number:03}" for number in range(machine_search.MOST_TERMS + 1)))


# -- Keeping up ---------------------------------------------------------------------------------------------------


def texts(database: Database) -> dict[int, str]:
    with database.read() as connection:
        rows = connection.execute(text("SELECT image_id, text FROM machine_texts")).all()
    return {row[0]: row[1] for row in rows}


def check_index(database: Database) -> None:
    """SQLite compares the whole index with the texts, and says so if they differ."""
    if database.is_local:
        with database.write() as transaction:
            transaction.execute(
                text("INSERT INTO machine_texts_fts (machine_texts_fts, rank) VALUES ('integrity-check', 1)")
            )


def test_the_texts_of_a_removed_image_go_with_it(archive: Archive, ana: Actor) -> None:
    kept, gone = add(archive, ana, "kept", tags=["tag"]), add(archive, ana, "gone", tags=["tag"])
    archive.images.delete(ana, gone)
    assert texts(archive.database) == {kept: "kept\n\ntag\n\n\n"}
    check_index(archive.database)


def test_images_that_go_past_the_records_leave_nothing_in_the_index(archive: Archive, ana: Actor) -> None:
    add(archive, ana, "gone")
    with archive.database.write() as transaction:
        transaction.execute(delete(schema.images))
    assert texts(archive.database) == {}
    check_index(archive.database)


def test_images_of_other_kinds_are_not_indexed(archive: Archive, ana: Actor) -> None:
    assert ana.user_id is not None
    with archive.database.write() as transaction:
        slide_id = records.add(transaction, NewImage(Kind.SLIDE, "slide", ana.user_id), 1)
        machine_texts.put(transaction, [slide_id])
        records.change(transaction, slide_id, {"name": "other"}, 2)
    assert texts(archive.database) == {}


def test_a_change_that_is_rolled_back_is_not_found(archive: Archive, ana: Actor) -> None:
    image_id = add(archive, ana, "before")

    def fail() -> None:
        with archive.database.write() as transaction:
            records.change(transaction, image_id, {"name": "after"}, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (found(archive, "before"), found(archive, "after")) == ([image_id], [])
    check_index(archive.database)


def test_a_renamed_tag_is_found_on_every_image_that_carries_it(archive: Archive, ana: Actor) -> None:
    """More of them than are written in one go."""
    assert ana.user_id is not None
    with archive.database.write() as transaction:
        tag_id, _ = records.ensure_tag(transaction, "before", 0)
        for number in range(machine_texts._AT_ONCE + 2):
            new = NewImage(Kind.MACHINE, f"{number}", ana.user_id, visibility=Visibility.PUBLIC)
            records.tag(transaction, records.add(transaction, new, 1), [tag_id])
    with archive.database.write() as transaction:
        tag_records.change(transaction, tag_id, {"name": "after"})
    wanted = CatalogueFilter(search="after")
    assert archive.machine_catalogue.list(Actor("test"), wanted, PageRequest()).total == machine_texts._AT_ONCE + 2
    assert found(archive, "before") == []
    check_index(archive.database)
