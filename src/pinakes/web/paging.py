"""Page numbers, ids and Link headers as clients write and read them."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

MAX_ID: Final = 2**63 - 1
"""The largest id: what both databases can hold."""

_DIGITS: Final = re.compile(r"[0-9]+")


def parse_id(text: str) -> int | None:
    """An id from ASCII decimal digits, 1 to 2^63-1, leading zeros allowed; None for anything else, of any length."""
    if not _DIGITS.fullmatch(text):
        return None
    digits = text.lstrip("0")
    if not digits or len(digits) > 19:
        return None
    number = int(digits)
    return number if number <= MAX_ID else None


def parse_page(text: str | None) -> int:
    """A 1-based page number; whatever is no number or below 1 is 1 (djinn contract 4.4).

    A number beyond any list reads as MAX_ID: a page that is empty.
    """
    if text is None or not _DIGITS.fullmatch(text):
        return 1
    digits = text.lstrip("0")
    if not digits:
        return 1
    return min(int(digits), MAX_ID) if len(digits) <= 19 else MAX_ID


def link_header(url: str, params: Iterable[tuple[str, str]], page: int, has_next: bool) -> str | None:
    """The Link header of a page, or None if it has no neighbours (djinn contract 4.5).

    url: absolute, without a query.   params: all of the request's parameters, of which only `page` is changed.
    """
    kept = [(name, value) for name, value in params if name != "page"]
    links = []
    if page > 1:
        links.append(f'<{_page_url(url, kept, page - 1)}>; rel="prev"')
    if has_next:
        links.append(f'<{_page_url(url, kept, page + 1)}>; rel="next"')
    return ", ".join(links) or None


def _page_url(url: str, params: list[tuple[str, str]], page: int) -> str:
    # A lone surrogate cannot come out of a query, but must not raise if it does.
    return f"{url}?{urlencode([*params, ('page', str(page))], errors='replace')}"
