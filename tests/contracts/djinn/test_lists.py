"""Djinn contract, section 4: the list of images, and the paging of every list."""

import re
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.contracts.djinn.conftest import BASE, Client, World, share


def links(answer: httpx.Response) -> dict[str, str]:
    """rel -> URL of a Link header."""
    header = answer.headers.get("link", "")
    found = re.findall(r'<([^>]*)>; rel="(prev|next)"', header)
    assert header == ", ".join(f'<{url}>; rel="{rel}"' for url, rel in found)
    return {rel: url for url, rel in found}


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200
    return [image["name"] for image in answer.json()]


def test_4_1_it_holds_own_images_and_those_of_shared_namespaces(world: World, ana: Client, ben: Client) -> None:
    ana.post("/namespaces", json={"name": "abc", "visibility": "private"})
    ana.upload("shared", "abc/sub")
    ana.upload("hidden")
    eve = world.user("eve")
    eve.post("/namespaces", json={"name": "open", "visibility": "public"})
    eve.upload("public", "open")
    ben.upload("own")
    assert names(ben.get("/images")) == ["own"]
    share(ana, "/n/ana/abc", ben, "ben")
    assert names(ben.get("/images")) == ["own", "shared"]
    assert names(ana.get("/images")) == ["hidden", "shared"]
    ana.delete("/n/ana/abc/-/collaborators/ben")
    assert names(ben.get("/images")) == ["own"]


def test_4_2_it_is_ordered_by_name_then_id_25_a_page(ana: Client) -> None:
    for number in reversed(range(13)):
        for namespace in ("", "abc"):
            ana.upload(f"image{number:02}", namespace)
    ana.upload("Zebra")
    first = ana.get("/images")
    second = ana.get(links(first)["next"])
    assert len(first.json()) == 25
    everything = [*first.json(), *second.json()]
    assert [image["name"] for image in everything] == sorted(image["name"] for image in everything)
    keys = [(image["name"], image["id"]) for image in everything]
    assert keys == sorted(keys)
    assert len(set(keys)) == 27


def test_4_3_a_search_is_a_literal_substring_in_any_case(ana: Client) -> None:
    for name in ("go-dev", "Go_Dev", "alpine", "GO"):
        ana.upload(name)

    def search(text: str) -> list[str]:
        return names(ana.get("/images", params={"search": text}))

    assert search("go") == ["GO", "Go_Dev", "go-dev"]
    assert search("-DEV") == ["go-dev"]
    assert search("_") == ["Go_Dev"]
    assert len(search("")) == 4
    for text in ("%", "zzz", "\0", "\\", "ö", "'", "go dev", "x" * 5000):
        assert search(text) == []
    assert names(ana.get("/images?search=%FF%00")) == []


NO_PAGES: list[str] = ["", "0", "-1", "abc", "1.5", "+1", "٣", "%00", "1%20"]


def test_4_4_what_is_no_page_number_is_the_first_page(ana: Client) -> None:
    ana.upload("alpine")
    for page in NO_PAGES:
        assert names(ana.get(f"/images?page={page}")) == ["alpine"]


BEYOND_THE_END: list[str] = ["2", "999999", str(2**63), "9" * 5000]


def test_4_4_a_page_beyond_the_end_is_empty(ana: Client) -> None:
    ana.upload("alpine")
    for page in BEYOND_THE_END:
        answer = ana.get(f"/images?page={page}")
        assert (answer.status_code, answer.content) == (200, b"[]")
        assert set(links(answer)) == {"prev"}


def test_4_5_links_lead_through_all_pages_and_end(ana: Client) -> None:
    for number in range(51):
        ana.upload(f"image{number:02}")
    ana.upload("other")
    url = f"{BASE}/images?search=IMAGE&x=a%26b&x=2"
    seen: list[str] = []
    pages: list[dict[str, str]] = []
    while url:
        answer = ana.get(url)
        seen += names(answer)
        pages.append(links(answer))
        url = links(answer).get("next", "")
    assert seen == [f"image{number:02}" for number in range(51)]
    assert [set(page) for page in pages] == [{"next"}, {"prev", "next"}, {"prev"}]
    for index, rel, wanted in ((0, "next", "2"), (1, "prev", "1"), (1, "next", "3"), (2, "prev", "2")):
        target = urlsplit(pages[index][rel])
        assert pages[index][rel].startswith(f"{BASE}/images?")
        assert parse_qs(target.query) == {"search": ["IMAGE"], "x": ["a&b", "2"], "page": [wanted]}


def test_4_5_one_page_has_no_links(ana: Client) -> None:
    for number in range(25):
        ana.upload(f"image{number:02}")
    answer = ana.get("/images")
    assert len(answer.json()) == 25
    assert "link" not in answer.headers


def test_4_6_no_image_is_an_empty_list(ana: Client) -> None:
    answer = ana.get("/images")
    assert (answer.status_code, answer.content) == (200, b"[]")


def test_head_of_a_list_is_its_get_without_a_body(ana: Client) -> None:
    for number in range(26):
        ana.upload(f"image{number:02}")
    got, asked = ana.get("/images"), ana.request("HEAD", "/images")
    assert asked.content == b""
    assert asked.headers == got.headers
    assert "link" in asked.headers


def test_the_other_lists_are_paged_alike(ana: Client) -> None:
    for number in range(26):
        ana.upload("alpine", f"root/sub{number:02}")
    for number in range(26):
        ana.upload(f"image{number:02}", "root")
    for path, search in (
        ("/namespaces", "SUB"),
        ("/n/ana/root/-/namespaces", "sub"),
        ("/n/ana/root/-/images", "IMAGE"),
    ):
        first = ana.get(path, params={"search": search})
        assert len(first.json()) == 25
        second = ana.get(links(first)["next"])
        assert len(second.json()) == 1
        assert set(links(second)) == {"prev"}
        assert links(second)["prev"].startswith(BASE + path)
        assert ana.get(path, params={"search": "%"}).json() == []
