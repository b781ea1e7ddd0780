"""Reading the members of a JSON object one by one, and noting what is wrong with each (atmosphere contract E7-E10, X1).

The texts are those of the framework the clients grew up with.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pinakes.apis.atmosphere.requests import key
from pinakes.core.catalogue.changes import UNCHANGED, Unchanged
from pinakes.core.catalogue.keys import Key
from pinakes.core.clock import Instant, from_datetime, to_datetime
from pinakes.core.errors import InvalidFields, Unknown

T = TypeVar("T")

REQUIRED = "This field is required."
NULL = "This field may not be null."
BLANK = "This field may not be blank."
_NO_TEXT = "Not a valid string."
_NO_NUMBER = "A valid integer is required."
_NO_MOMENT = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
_NO_PK = "Incorrect type. Expected pk value, received {}."
_NO_OBJECT = "There is no such object."

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_FLAGS = {True: True, False: False, "true": True, "false": False}


class Members:
    """The members of a body, and the problems found with them so far.

    Each reading gives UNCHANGED for a member that is absent, and notes a problem for one that is required.
    """

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = members
        self.problems: dict[str, list[str]] = {}

    def text(self, name: str, *, is_required: bool = False) -> str | Unchanged:
        """A text that is not blank."""
        value = self._value(name, is_required)
        if isinstance(value, str) and not value.strip():
            return self._wrong(name, BLANK)
        return value if isinstance(value, str) or value is UNCHANGED else self._wrong(name, _no(value, _NO_TEXT))

    def text_or_blank(self, name: str) -> str | Unchanged:
        """A text of any length; null is none."""
        value = self.free_text(name)
        return "" if value is None else value

    def free_text(self, name: str) -> str | Unchanged | None:
        """A text of any length, or null."""
        value = self._value(name)
        if value is None or value is UNCHANGED or isinstance(value, str):
            return value
        return self._wrong(name, _NO_TEXT)

    def flag(self, name: str) -> bool | Unchanged:
        value = self._value(name)
        if isinstance(value, Unchanged):
            return value
        if isinstance(value, (bool, str)) and value in _FLAGS:
            return _FLAGS[value]
        return self._wrong(name, NULL if value is None else "Must be a valid boolean.")

    def number(self, name: str) -> int | Unchanged | None:
        """A whole number, or null."""
        value = self._value(name)
        if value is None or value is UNCHANGED or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        return self._wrong(name, _NO_NUMBER)

    def moment(self, name: str) -> Instant | Unchanged | None:
        """A date and time, or null. Without an offset it is UTC (contract E10)."""
        value = self._value(name)
        if value is None or value is UNCHANGED:
            return value
        instant = _instant(value) if isinstance(value, str) else None
        return self._wrong(name, _NO_MOMENT) if instant is None else instant

    def key(self, name: str, *, is_required: bool = False) -> Key | Unchanged:
        """What names an object: an id, a uuid, or an object that has one of them, as answers show it."""
        return self._key(name, self._value(name, is_required))

    def key_or_name(self, name: str, *, is_required: bool = False) -> Key | Unchanged:
        """The same, or a text that is no key: the name of the object."""
        value = self._value(name, is_required)
        if isinstance(value, str) and key_in(value) is None and value.strip():
            return value.strip()
        return self._key(name, value)

    def ids(self, name: str) -> tuple[int, ...] | Unchanged:
        """A list of ids, or of objects that have one, as answers show them (contract E12, E14)."""
        value = self._value(name)
        if isinstance(value, Unchanged):
            return value
        if not isinstance(value, list):
            return self._wrong(name, _no(value, f'Expected a list of items but got type "{type(value).__name__}".'))
        found: list[int] = []
        for item in value:
            named = key_in(item)
            if not isinstance(named, int):
                return self._wrong(name, _NO_PK.format(type(item).__name__))
            found.append(named)
        return tuple(found)

    def choice(self, name: str, choices: Mapping[str, T], *, is_required: bool = False) -> T | Unchanged:
        """One of these words; what it stands for."""
        value = self._value(name, is_required)
        if isinstance(value, Unchanged):
            return value
        if isinstance(value, str) and value in choices:
            chosen: T = choices[value]
            return chosen
        return self._wrong(name, _no(value, f"Must be one of {', '.join(choices)}."))

    def check(self) -> None:
        """For what takes no problems along. Raises InvalidFields with all that was wrong."""
        if self.problems:
            raise InvalidFields(self.problems)

    def _value(self, name: str, is_required: bool = False) -> Any:
        if name not in self._members and is_required:
            self._wrong(name, REQUIRED)
        return self._members.get(name, UNCHANGED)

    def _key(self, name: str, value: Any) -> Key | Unchanged:
        if isinstance(value, Unchanged):
            return value
        named = key_in(value)
        if named is not None:
            return named
        if isinstance(value, (int, str)) and not isinstance(value, bool):
            return self._wrong(name, _NO_OBJECT)
        return self._wrong(name, _no(value, _NO_PK.format(type(value).__name__)))

    def _wrong(self, name: str, problem: str) -> Unchanged:
        self.problems.setdefault(name, []).append(problem)
        return UNCHANGED


def key_in(value: Any) -> Key | None:
    """The key that a JSON value is, or that an object in it has; None if it names nothing."""
    if isinstance(value, dict):
        value = value.get("id", value.get("uuid"))
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, int):
        return value if 0 < value < 2**63 else None
    try:
        return key(value)
    except Unknown:
        return None


def _no(value: Any, problem: str) -> str:
    return NULL if value is None else problem


def _instant(text: str) -> Instant | None:
    """None for what is no date and time, or is none that can be shown again."""
    if not _MOMENT.fullmatch(text.strip()):
        return None
    try:
        instant = from_datetime(datetime.fromisoformat(text.strip().upper()))
        to_datetime(instant)
    except (ValueError, OverflowError):
        return None
    return instant
