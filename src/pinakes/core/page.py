"""One page of a list that is read in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, bindparam, func

T = TypeVar("T")

_FAR = 2**62
"""Beyond any list, and still a number that both databases can count with."""

LAST = 0
"""In place of a page's number: the last page, whichever that is. Only for lists that are counted."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted. number counts from 1, or is LAST; size is how many items a page holds.

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

    def window(self, total: int) -> dict[str, int]:
        """What a paged statement of a list of so many items is bound to: exactly the page."""
        number = self.number if self.number != LAST else max(1, -(-total // self.size))
        return {"page_size": self.size, "page_offset": min((number - 1) * self.size, _FAR)}


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """The items of one page of a list that is counted, and how many the whole list has."""

    items: tuple[T, ...]
    total: int


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
    return f"%{prefix_pattern(text)}"


def prefix_pattern(text: str) -> str:
    """The same of texts that begin with this one literally."""
    return f"{escape_like(text)}%"


def escape_like(text: str) -> str:
    """The text as LIKE takes it literally, with backslash as escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def contains_search(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a column of ASCII text contains what the request searches for."""
    return func.lower(column).like(bindparam("page_pattern"), escape="\\")
