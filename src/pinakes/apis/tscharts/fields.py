"""What clients send, read strictly: members of a JSON body and parameters of a query.

Everything here raises InvalidFields, naming the field, for what is malformed. An id that is well-formed but can be
nobody's (0, or beyond 64 bits) reads as 0, which no row has, so that it is answered like any unknown one (contract
G15, G16).
"""

import enum
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from pinakes.core.errors import InvalidFields
from pinakes.web.paging import MAX_ID, parse_id

E = TypeVar("E", bound=enum.StrEnum)

_DIGITS = re.compile(r"[0-9]+")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_DATE_WITH_DASHES = re.compile(r"([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})")


class Parameters:
    """The parameters of a query: of a repeated one the last counts, an empty one is absent (contract G14)."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: QueryParams) -> None:
        self._parameters = parameters

    def text(self, name: str) -> str | None:
        return self._parameters.get(name) or None

    def id(self, name: str) -> int | None:
        text = self.text(name)
        return None if text is None else _id_of(name, text)

    def integer(self, name: str) -> int | None:
        text = self.text(name)
        return None if text is None else _integer_of(name, text)

    def flag(self, name: str) -> bool | None:
        """Exactly `true` or `false` (contract I-S5, I-S6)."""
        return self._flag(name, {"true": True, "false": False})

    def capitalised_flag(self, name: str) -> bool | None:
        """Also `True` and `False`, which the Python client prints (contract T2)."""
        return self._flag(name, {"true": True, "True": True, "false": False, "False": False})

    def day(self, name: str) -> date | None:
        text = self.text(name)
        return None if text is None else date_of(name, text)

    def date_of_birth(self, name: str) -> date | None:
        text = self.text(name)
        return None if text is None else date_of_birth_of(name, text)

    def choice(self, name: str, choices: type[E]) -> E | None:
        text = self.text(name)
        return None if text is None else _choice_of(name, text, choices)

    def _flag(self, name: str, words: Mapping[str, bool]) -> bool | None:
        text = self.text(name)
        if text is not None and text not in words:
            raise InvalidFields.one(name, "must be true or false")
        return None if text is None else words[text]


class Members:
    """The members of a JSON object. What is asked for must be there, unless `has` was asked first."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = members

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def value(self, name: str) -> Any:
        """Whatever stands there."""
        if name not in self._members:
            raise InvalidFields.one(name, "is required")
        return self._members[name]

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise InvalidFields.one(name, "must be a string")
        return value

    def id(self, name: str) -> int:
        """An integer or a string of digits, never a boolean or a number with a point (contract G16)."""
        value = self.value(name)
        if isinstance(value, str):
            return _id_of(name, value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidFields.one(name, "must be an id")
        return value if value <= MAX_ID else 0

    def id_or_null(self, name: str) -> int | None:
        return None if self.value(name) is None else self.id(name)

    def integer(self, name: str) -> int:
        value = self.value(name)
        if isinstance(value, str):
            return _integer_of(name, value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidFields.one(name, "must be a whole number")
        return value

    def boolean(self, name: str) -> bool:
        value = self.value(name)
        if not isinstance(value, bool):
            raise InvalidFields.one(name, "must be true or false")
        return value

    def day(self, name: str) -> date:
        return date_of(name, self.text(name))

    def date_of_birth(self, name: str) -> date:
        return date_of_birth_of(name, self.text(name))

    def choice(self, name: str, choices: type[E]) -> E:
        return _choice_of(name, self.text(name), choices)


def date_of(field: str, text: str) -> date:
    """month/day/year, zeros in front or not (contract K1)."""
    return _date(field, _DATE.fullmatch(text))


def date_of_birth_of(field: str, text: str) -> date:
    """The same, or with dashes (contract P3)."""
    return _date(field, _DATE.fullmatch(text) or _DATE_WITH_DASHES.fullmatch(text))


def _date(field: str, match: re.Match[str] | None) -> date:
    if match is None:
        raise InvalidFields.one(field, "must be a date, as 02/25/2016")
    month, day, year = map(int, match.groups())
    try:
        return date(year, month, day)
    except ValueError as exc:
        raise InvalidFields.one(field, "must be a date, as 02/25/2016") from exc


def _id_of(field: str, text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise InvalidFields.one(field, "must be an id")
    return parse_id(text) or 0


def _integer_of(field: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidFields.one(field, "must be a whole number")
    return int(text)


def _choice_of(field: str, text: str, choices: type[E]) -> E:
    try:
        return choices(text)
    except ValueError as exc:
        raise InvalidFields.one(field, f"must be one of {', '.join(choices)}") from exc
