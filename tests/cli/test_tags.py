"""`pinakes tag`."""

import pytest

from pinakes.core.archive import Archive
from tests.cli.conftest import Run

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def test_adding_a_tag_prints_the_id_alone(pinakes: Run, archive: Archive) -> None:
    added = pinakes("tag", "add", "GPU", "--description", "With drivers for graphics cards.")
    made = archive.tags.get(int(added.result))
    assert (made.name, made.description) == ("GPU", "With drivers for graphics cards.")
    assert pinakes("tag", "list").rows == [[added.result, "GPU", "With drivers for graphics cards."]]


def test_a_tag_that_is_there_in_any_case_and_one_that_is_none_are_refused(pinakes: Run, archive: Archive) -> None:
    pinakes("tag", "add", "GPU", "--description", "x")
    assert "already exists" in pinakes("tag", "add", "gpu", "--description", "x").failure
    assert "commas" in pinakes("tag", "add", "a,b", "--description", "x").failure
    assert len(pinakes("tag", "list").rows) == 1
