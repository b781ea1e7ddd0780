"""The documents say what is so: links lead somewhere, lists are whole, and nothing names a machine."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path for folder in (ROOT, ROOT / "docs", ROOT / "src", ROOT / "bench", ROOT / "tests")
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
)  # fmt: skip


def distribution(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found is not None
    return found[0].lower()


def test_every_dependency_has_its_reason_on_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = {distribution(line) for line in project["project"]["dependencies"]}
    declared |= {distribution(line) for line in project["project"]["optional-dependencies"]["demo"]}
    declared |= {distribution(line) for line in project["dependency-groups"]["dev"]}
    rows = re.findall(r"^\| ([a-z0-9_.-]+) \| (.+?) \| (.+?) \|$", (ROOT / "docs/dependencies.md").read_text(), re.M)
    explained = {name for name, licence, reason in rows if licence.strip() and reason.strip() and name != "package"}
    assert {name for name in explained if set(name) != {"-"}} == declared


def test_the_locks_name_no_registry_and_hash_everything() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        pinned = re.findall(r"^[a-z0-9].*==", text, re.M)
        assert len(pinned) > 20
        assert len(re.findall(r"^[a-z0-9][^\n]*\\\n    --hash=sha256:", text, re.M)) == len(pinned)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_a_document_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_glossary_is_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(), re.M)
    assert words == sorted(words, key=str.casefold)
    assert len(words) > 20


def test_every_error_of_the_core_is_in_the_drawing_at_its_top() -> None:
    from pinakes.core import errors

    drawing = errors.__doc__ or ""
    names = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert {name for name in names if not re.search(rf"\b{name}\b", drawing)} == set()


def test_every_api_says_what_it_implements_and_where_it_differs() -> None:
    apis = [path.parent for path in (ROOT / "src/pinakes/apis").glob("*/__init__.py")]
    assert apis
    for folder in apis:
        text = (folder / "README.md").read_text()
        assert "## Known deviations" in text, folder.name
