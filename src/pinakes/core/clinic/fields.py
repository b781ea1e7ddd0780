"""What the register's fields may hold, so that both databases can keep it."""

from pinakes.core.errors import InvalidFields
from pinakes.core.text import check_text, fold

MOST_CHARACTERS = 255
_MOST_FOLDED_CHARACTERS = 512
_MOST_INTEGER = 2**31 - 1


def check_line(field: str, value: str, *, is_required: bool = False) -> str:
    """A text of at most 255 characters. Raises InvalidFields."""
    if is_required and not value:
        raise InvalidFields.one(field, "must not be empty")
    return check_text(field, value, most=MOST_CHARACTERS)


def folded(field: str, value: str) -> str:
    """The case-folded twin of a text; folding can make it up to three times as long. Raises InvalidFields."""
    return check_text(field, fold(value), most=_MOST_FOLDED_CHARACTERS)


def check_integer(field: str, value: int, *, least: int = -_MOST_INTEGER) -> int:
    """A whole number of 32 bits. Raises InvalidFields."""
    if not least <= value <= _MOST_INTEGER:
        raise InvalidFields.one(field, f"must be between {least} and {_MOST_INTEGER}")
    return value
