"""Scopes: Djinn's grammar, read and written back (djinn contract 2.2)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.actor import Permission, Resource, Scope
from pinakes.core.errors import ScopeInvalid

items = st.dictionaries(
    st.sampled_from(list(Resource)), st.frozensets(st.sampled_from(list(Permission)), min_size=1), min_size=1
)


@given(items)
def test_a_scope_written_back_reads_the_same(granted: dict[Resource, frozenset[Permission]]) -> None:
    scope = Scope(tuple(granted.items()))
    assert Scope.parse(str(scope)) == scope
    for resource in Resource:
        for permission in Permission:
            assert scope.allows(resource, permission) == (permission in granted.get(resource, ()))


def test_repeated_resources_merge_and_are_written_in_order() -> None:
    assert str(Scope.parse("image:write  namespace:read image:read")) == "image:read,write namespace:read"


@pytest.mark.parametrize(
    "text", ["", " ", "image", "image:", "image:read,", "images:read", "image:execute", "image:read\tinvite:read", ":"]
)
def test_anything_else_is_no_scope(text: str) -> None:
    with pytest.raises(ScopeInvalid):
        Scope.parse(text)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(ScopeInvalid):
        Scope.parse(text)
