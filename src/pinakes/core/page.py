"""One page of a list that is read in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, bindparam, func

T = TypeVar("T")

_FAR = 2**62
"""Beyond any list, and still a number that both databases can count with."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted. number counts from 1; size is how many items a page holds.

    search: only what contains this text, without regard to case and taken literally; empty for everything.
    """

    number: int = 1
    size: int = 25
    search: str = ""

    def parameters(self) -> dict[str, Any]:
        """What a paged statement is bound to. One more than a page is asked for: it tells whether a next one exists."""
        offset = min((self.number - 1) * self.size, _FAR)
        return {
            "page_limit": self.size + 1,
            "page_offset": offset,
            "page_end": offset + self.size + 1,
            "page_pattern": like_pattern(self.search.lower()),
        }


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items of one page, and whether another follows."""

    items: tuple[T, ...]
    has_next: bool

    @classmethod
    def of(cls, found: Sequence[T], request: PageRequest) -> "Page[T]":
        """From what a statement bound to `request.parameters()` found."""
        return cls(tuple(found[: request.size]), len(found) > request.size)


def like_pattern(text: str) -> str:
    """The LIKE pattern, with backslash as escape, of texts that contain this one literally."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def contains_search(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a column of ASCII text contains what the request searches for."""
    return func.lower(column).like(bindparam("page_pattern"), escape="\\")
