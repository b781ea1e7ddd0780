"""Lists of images: envelope, pages, order, filters and search (atmosphere contract, sections 4 and 5)."""

import pytest

from pinakes.core.actor import Kind, Visibility
from pinakes.core.catalogue import records
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clock import DAY
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, INVALID_PAGE, Client, World
from tests.core.namespaces.making import put

LOCAL = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def make(world: World, author: Client, count: int) -> list[int]:
    return [world.image(author, f"image {number}") for number in range(count)]


# -- Envelope and pages -------------------------------------------------------------------------------------------


def test_a_list_comes_in_an_envelope(world: World, ana: Client, nobody: Client) -> None:
    """L1, L4: also an empty one."""
    assert nobody.get("/images").json() == {"count": 0, "next": None, "previous": None, "results": []}
    world.image(ana, "alpine")
    answer = nobody.get("/images").json()
    assert list(answer) == ["count", "next", "previous", "results"]
    assert (answer["count"], answer["next"], answer["previous"], len(answer["results"])) == (1, None, None, 1)


def test_walking_the_pages_shows_every_image_once_in_order(world: World, ana: Client, nobody: Client) -> None:
    """L2, L5, L6; the clock stands still, so the tie-break alone makes the order."""
    made = make(world, ana, 7)
    url: str | None = "/images?page_size=3&search=image&nonsense=1"
    seen: list[int] = []
    urls: list[str | None] = []
    while url is not None:
        answer = nobody.get(url).json()
        assert answer["count"] == 7
        seen += [image["id"] for image in answer["results"]]
        url = answer["next"]
        urls.append(answer["previous"])
        assert url is None or (url.startswith(f"{BASE}/images?") and "search=image" in url and "page_size=3" in url)
    assert seen == sorted(made, reverse=True)
    assert urls[0] is None
    assert urls[1] is not None
    assert urls[2] is not None
    assert nobody.get(urls[2]).json()["results"] == nobody.get("/images?page_size=3&page=2").json()["results"]
    assert nobody.get(urls[1]).json()["previous"] is None


@LOCAL
def test_a_page_that_is_not_there_is_not_found(world: World, ana: Client, nobody: Client) -> None:
    """L4."""
    make(world, ana, 3)
    for page in ("0", "-1", "abc", "1.5", "", "3", "9" * 5000, "%00", "%D9%A1", "+1", "1%20", "LAST"):
        answer = nobody.get(f"/images?page_size=2&page={page}")
        assert (answer.status_code, answer.json()) == (404, INVALID_PAGE), page


def test_the_last_page_can_be_asked_for_by_name(world: World, ana: Client, nobody: Client) -> None:
    """L4."""
    assert nobody.get("/images?page=last").json()["results"] == []
    make(world, ana, 5)
    answer = nobody.get("/images?page_size=2&page=last").json()
    assert ([image["name"] for image in answer["results"]], answer["next"]) == (["image 0"], None)
    assert "page=2" in answer["previous"]


@LOCAL
def test_a_page_size_that_is_none_is_the_default(world: World, ana: Client, nobody: Client) -> None:
    """L3."""
    make(world, ana, 3)
    for size, shown in (
        ("1", 1),
        ("2", 2),
        *((none, 3) for none in ("0", "-1", "abc", "", "1.5", "9" * 5000, "%D9%A1")),
    ):
        assert len(nobody.get(f"/images?page_size={size}").json()["results"]) == shown, size


@LOCAL
def test_a_page_holds_100_unless_asked_and_1000_at_most(world: World, ana: Client, nobody: Client) -> None:
    """L3."""
    bulk(world, ana, 1003)
    assert len(nobody.names()) == 100
    assert len(nobody.names(page_size=5000)) == 1000
    assert len(nobody.names(page_size=5000, page=2)) == 3


def bulk(world: World, author: Client, count: int) -> None:
    """Many public images, past the operations."""
    user_id = world.actor(author).user_id
    assert user_id is not None
    with world.archive.database.write() as transaction:
        for number in range(count):
            new = NewImage(Kind.MACHINE, f"image {number}", user_id, visibility=Visibility.PUBLIC)
            records.add(transaction, new, number)


# -- Order --------------------------------------------------------------------------------------------------------


def test_the_default_order_puts_images_without_end_first(
    world: World, ana: Client, nobody: Client, clock: MovableClock
) -> None:
    """L6."""
    end = clock.now + 100 * DAY
    for name, end_at in (("a", None), ("b", end), ("c", end + DAY), ("d", None), ("e", end), ("f", None), ("g", end)):
        clock.advance(0 if name in "fg" else 1)  # d and f, e and g were made at the same instant
        world.image(ana, name, end_at=end_at)
    assert nobody.names() == ["f", "d", "a", "c", "g", "e", "b"]


ORDERINGS = [
    ("id", ["b", "B", "a", "ä"]),
    ("-id", ["ä", "a", "B", "b"]),
    ("name", ["B", "a", "b", "ä"]),
    ("-name", ["ä", "b", "a", "B"]),
    ("start_date", ["b", "a", "B", "ä"]),
    ("-start_date", ["ä", "a", "B", "b"]),
    ("end_date", ["B", "ä", "a", "b"]),
    ("-end_date", ["a", "b", "ä", "B"]),
    ("-start_date,name", ["ä", "B", "a", "b"]),
    ("start_date,-name", ["b", "a", "B", "ä"]),
    ("-end_date,name", ["a", "b", "ä", "B"]),
    ("nonsense,name", ["B", "a", "b", "ä"]),
    (" name ,,-name", ["B", "a", "b", "ä"]),
    ("nonsense", ["a", "b", "ä", "B"]),
    ("--name", ["a", "b", "ä", "B"]),
    ("NAME", ["a", "b", "ä", "B"]),
    ("", ["a", "b", "ä", "B"]),
]


def test_a_list_can_be_ordered(world: World, ana: Client, nobody: Client, clock: MovableClock) -> None:
    """L7: no end comes after every end; names are compared by the numbers of their characters."""
    for name, pause, end_in in (("b", 0, None), ("B", 1, DAY), ("a", 0, None), ("ä", 1, 2 * DAY)):
        clock.advance(pause)
        world.image(ana, name, end_at=None if end_in is None else clock.now - clock.now % DAY + DAY + end_in)
    for ordering, names in ORDERINGS:
        assert nobody.names(ordering=ordering) == names, ordering
        paged = [nobody.names(ordering=ordering, page_size=1, page=page) for page in range(1, 5)]
        assert [name for page in paged for name in page] == names, ordering


# -- Filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["created_by__username", "created_by"])
def test_a_list_of_one_creator(world: World, ana: Client, ben: Client, nobody: Client, parameter: str) -> None:
    """F1, F7."""
    world.image(ana, "hers")
    world.image(ben, "his")
    assert nobody.names(**{parameter: "ana"}) == ["hers"]
    assert nobody.names(**{parameter: ""}) == ["his", "hers"]
    for other in ("Ana", "an", "ana%", "%", "nobody", "ana\0", "\ud7ff", "x" * 5000):
        assert nobody.names(**{parameter: other}) == []


@pytest.mark.parametrize("parameter", ["tags__name", "tag_name"])
def test_a_list_of_one_tag(world: World, ana: Client, nobody: Client, parameter: str) -> None:
    """F2: the whole name, exact; L2: once, however many tags."""
    world.image(ana, "both", tags=("Featured", "Bio"))
    world.image(ana, "one", tags=("Bio",))
    world.image(ana, "none")
    assert nobody.names(**{parameter: "Bio"}) == ["one", "both"]
    assert nobody.names(**{parameter: "Featured"}) == ["both"]
    for other in ("bio", "Bi", "%", "Bio\0"):
        assert nobody.names(**{parameter: other}) == []


def test_filters_combine_with_and(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    """Section 5."""
    world.image(ana, "alpine", tags=("small",))
    world.image(ben, "alpine too", tags=("small",))
    world.image(ana, "debian", tags=("small",))
    assert nobody.names(created_by__username="ana", tags__name="small", search="alp") == ["alpine"]
    assert nobody.names(created_by__username="ana", created_by="ben") == []
    assert nobody.names(tags__name="small", tag_name="large") == []


@pytest.mark.parametrize(("value", "is_on"), [("true", True), ("True", True), ("false", False), ("1", False)])
def test_a_list_of_what_is_featured(world: World, ana: Client, nobody: Client, value: str, is_on: bool) -> None:
    """F4."""
    world.image(ana, "star", tags=("FEATURED",))
    world.image(ana, "plain")
    assert nobody.names(featured=value) == (["star"] if is_on else ["plain", "star"])


def test_a_list_of_what_the_caller_bookmarked(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    """F5."""
    marked = world.image(ana, "marked")
    world.image(ana, "other")
    world.archive.bookmarks.create(world.actor(ben), marked)
    assert ben.names(bookmarked="true") == ["marked"]
    assert (ana.names(bookmarked="true"), nobody.names(bookmarked="true")) == ([], [])
    assert len(nobody.names(bookmarked="no")) == 2


@pytest.mark.parametrize("parameter", ["projects__id", "project_id"])
def test_no_project_holds_an_image(world: World, ana: Client, parameter: str) -> None:
    """F6."""
    world.image(ana, "alpine")
    assert ana.names(**{parameter: "7"}) == []
    assert ana.names(**{parameter: ""}) == ["alpine"]


@LOCAL
def test_of_a_repeated_parameter_the_last_counts(world: World, ana: Client, nobody: Client) -> None:
    """F7."""
    world.image(ana, "alpine")
    assert nobody.names("/images?search=debian&search=alpine") == ["alpine"]
    assert nobody.names("/images?search=alpine&search=") == ["alpine"]
    assert nobody.names("/images?search=alpine&search=debian") == []


# -- Search -------------------------------------------------------------------------------------------------------


def test_search_looks_in_four_texts_and_nowhere_else(world: World, ana: Client, nobody: Client) -> None:
    """F3."""
    world.tag("genomics", "for sequencing")
    made = put(world.archive, world.actor(ana), "Alpine-Linux", visibility=Visibility.PUBLIC)
    tag_id = nobody.get("/tags").json()["results"][0]["id"]
    ana.patch(f"/images/{made.id}", json={"description": "A small *system*", "tags": [tag_id]})
    for found in ("alpine", "LINUX", "pine-lin", "small", "*system*", "genom", "SEQUENCING", "quenc"):
        assert nobody.names(search=found) == ["Alpine-Linux"], found
    for missing in ("ana", str(made.uid), "1.0", "qcow", "ana@example.org"):
        assert nobody.names(search=missing) == [], missing


def test_every_term_must_match_somewhere(world: World, ana: Client, nobody: Client) -> None:
    """F3: each in any field and on any tag."""
    world.tag("alpha", "first")
    world.tag("beta", "second")
    world.image(ana, "Ubuntu", description="with Python", tags=("alpha", "beta"))
    for found in ("first second", "second,first", "ubuntu,,python\talpha", " , beta  ubuntu ", "ub py al be"):
        assert nobody.names(search=found) == ["Ubuntu"], found
    assert nobody.names(search="first third") == []
    assert nobody.names(search="ubuntuwith") == []


TEXTS = [
    ("100% sure", "100%"), ("a_b", "a_b"), ("STRASSE", "straße"), ("Straße", "STRASSE"), ("ÄÖÜ", "äöü"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("日本語", "本語"), ("日本語", "語"), ("𝒳𝒴𝒵", "𝒴𝒵"), ('say "no"', '"no"'),
    ("it's", "t's"),
    ("C:\\dir", "\\dir"), ("x*", "x*"), ("-minus", "-minus"), ("NEAR(a)", "near(a)"), ("ab", "ab"), ("xab", "ab"),
    ("a", "a"), ("col:x", "col:x"), ("a\nb\nc", "a b c"), ("{}[]()", "{}[]()"),
]  # fmt: skip


def test_search_takes_every_character_literally(world: World, ana: Client, nobody: Client) -> None:
    """F3."""
    path = f"/images/{world.image(ana, 'found')}"
    world.image(ana, "other", description="zzz!")
    for text, search in TEXTS:
        ana.patch(path, json={"description": text})
        assert nobody.names(search=search) == ["found"], search


def test_what_matches_nothing_is_no_error(world: World, ana: Client, nobody: Client) -> None:
    """F3, C6."""
    world.image(ana, "found", description="Some text")
    for search in ("%", "_", "100%", "a%b", "?", "''", '"', "\\", "\0", "foo\0bar", "*", "^", "()"):
        assert nobody.names(search=search) == [], search


@LOCAL
def test_a_search_of_too_many_words_is_refused(world: World, ana: Client, nobody: Client) -> None:
    world.image(ana, "found", description=" ".join(f"word{number}" for number in range(200)))
    assert nobody.names(search=" ".join(f"word{number}" for number in range(100, 164))) == ["found"]
    answer = nobody.get("/images", params={"search": " ".join(f"word{number}" for number in range(100, 165))})
    assert (answer.status_code, list(answer.json())) == (400, ["search"])


def test_search_follows_every_change(world: World, ana: Client, nobody: Client, staff: Client) -> None:
    """F3: edits of the image, of its tags, and of the tags themselves."""
    tag_id = world.tag("alpha", "first")
    image_id = world.image(ana, "before")
    assert nobody.names(search="before") == ["before"]
    ana.patch(f"/images/{image_id}", json={"name": "after"})
    assert (nobody.names(search="before"), nobody.names(search="after")) == ([], ["after"])
    ana.patch(f"/images/{image_id}", json={"description": "told"})
    assert nobody.names(search="told") == ["after"]
    row = ana.post("/image_tags", json={"image": image_id, "tag": tag_id}).json()["id"]
    assert nobody.names(search="first") == ["after"]
    staff.patch(f"/tags/{tag_id}", json={"description": "second"})
    assert (nobody.names(search="first"), nobody.names(search="second")) == ([], ["after"])
    staff.patch(f"/tags/{tag_id}", json={"name": "omega"})
    assert (nobody.names(search="alpha"), nobody.names(search="omega")) == ([], ["after"])
    ana.delete(f"/image_tags/{row}")
    assert nobody.names(search="omega") == []
    ana.patch(f"/images/{image_id}", json={"tags": [tag_id]})
    assert nobody.names(search="omega") == ["after"]
    staff.delete(f"/tags/{tag_id}")
    assert nobody.names(search="omega") == []
    ana.patch(f"/images/{image_id}", json={"description": None})
    assert nobody.names(search="told") == []
