"""Texts that come from outside: what every one of them must satisfy to be kept."""

from pinakes.core.errors import InvalidFields


def check_text(field: str, value: str, *, most: int | None = None) -> str:
    """The value, if both databases can keep it and it has at most so many characters.

    Raises InvalidFields, naming the field: NUL (PostgreSQL keeps none) and lone surrogates (no UTF-8) are refused.
    """
    if "\0" in value:
        raise InvalidFields.one(field, "must not contain NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidFields.one(field, "must not contain lone surrogates") from exc
    if most is not None and len(value) > most:
        raise InvalidFields.one(field, f"must have at most {most} characters")
    return value


def check_words(field: str, value: str, *, most: int) -> str:
    """The same without outer white space, if anything is left of it. Raises InvalidFields."""
    words = check_text(field, value.strip(), most=most)
    if not words:
        raise InvalidFields.one(field, "may not be blank")
    return words


def fold(value: str) -> str:
    """The form in which texts are compared without regard to case, beyond ASCII too."""
    return value.casefold()
