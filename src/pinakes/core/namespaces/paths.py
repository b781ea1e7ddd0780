"""The text form of a namespace: `segment(/segment)*[@owner]` (djinn contract, section 6)."""

import enum
import re
from dataclasses import dataclass

from pinakes.core.errors import InvalidFields

MOST_LEVELS = 20
MOST_CHARACTERS = 2_048
"""Of a whole path. Twenty levels of the length that can be chosen (32) need a third of it; PostgreSQL cannot index
texts beyond about 2,700 bytes."""

_SEGMENT = re.compile(r"[A-Za-z0-9]{1,255}")
_OWNER = re.compile(r"[A-Za-z0-9._-]{3,30}")


class PathReason(enum.StrEnum):
    """Why a text is no path."""

    MALFORMED = "can only contain letters and numbers, a slash between two levels, and @owner at the end"
    TOO_DEEP = "can have at most 20 levels"
    TOO_LONG = "can have at most 2048 characters"


@dataclass(frozen=True, slots=True)
class NamespacePath:
    """A well-formed path. owner: a user's name; None for the caller's own."""

    segments: tuple[str, ...]
    owner: str | None = None

    @classmethod
    def parse(cls, text: str, *, field: str = "namespace") -> "NamespacePath":
        """Raises InvalidFields, which names the field and has a PathReason."""
        path, at, owner = text.partition("@")
        segments = tuple(path.split("/"))
        if not all(_SEGMENT.fullmatch(segment) for segment in segments) or (at and not _OWNER.fullmatch(owner)):
            raise InvalidFields.one(field, PathReason.MALFORMED)
        if len(segments) > MOST_LEVELS:
            raise InvalidFields.one(field, PathReason.TOO_DEEP)
        if len(path) > MOST_CHARACTERS:
            raise InvalidFields.one(field, PathReason.TOO_LONG)
        return cls(segments, owner if at else None)

    @property
    def path(self) -> str:
        """Without the owner."""
        return "/".join(self.segments)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The paths of all its levels, the root first, itself last."""
        return tuple("/".join(self.segments[:count]) for count in range(1, len(self.segments) + 1))

    def __str__(self) -> str:
        return self.path if self.owner is None else f"{self.path}@{self.owner}"
