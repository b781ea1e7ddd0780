"""Reading requests: queries, pages, names of objects and JSON bodies (atmosphere contract C6, C8, L3, L4, X2-X4)."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from pinakes.apis.atmosphere.errors import MediaTypeUnsupported, NotAnObject, NotJson, PageUnknown
from pinakes.core.catalogue.keys import Key
from pinakes.core.errors import Invalid, Unknown
from pinakes.core.page import LAST, PageRequest
from pinakes.web.jsonbody import decode_json
from pinakes.web.paging import parse_id
from pinakes.web.transfer import content_length, read_body

_MOST_BODY_BYTES = 8 * 1024 * 1024  # it is decoded in the event loop; a description of any length allowed fits
_DEFAULT_PAGE_SIZE = 100
_MOST_PAGE_SIZE = 1000
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO = frozenset({"false", "0"})


def parameters(request: Request) -> list[tuple[str, str]]:
    """The parameters of the query, in order.

    Clients send them unescaped: a lone percent sign stands for itself, and bytes are read as UTF-8 (contract C6).
    """
    return parse_qsl(request.scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)


def filters(request: Request) -> Mapping[str, str]:
    """The parameters by name: the last of a repeated one counts, an empty one does not (contract F7)."""
    return {name: value for name, value in dict(parameters(request)).items() if value}


def is_set(query: Mapping[str, str], name: str) -> bool:
    """Whether a switch is given, as anything but `false` or `0` (contract V5)."""
    return name in query and query[name].lower() not in _NO


def page_request(request: Request) -> PageRequest:
    """The page a list is asked for. Raises PageUnknown for what is no page number (contract L3, L4)."""
    query = dict(parameters(request))
    return PageRequest(_page_number(query.get("page", "1")), _page_size(query.get("page_size", "")))


def _page_number(text: str) -> int:
    if text == "last":
        return LAST
    number = parse_id(text)
    if number is None:
        raise PageUnknown
    return number


def _page_size(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and digits.strip("0")):
        return _DEFAULT_PAGE_SIZE
    return min(int(digits), _MOST_PAGE_SIZE) if len(digits.lstrip("0")) <= 4 else _MOST_PAGE_SIZE


def key(text: str) -> Key:
    """An object's name in a path or a parameter: its id or its uuid. Raises Unknown for anything else (contract C8)."""
    if _UUID.fullmatch(text):
        return text.replace("-", "").lower()
    number = parse_id(text)
    if number is None:
        raise Unknown
    return number


def key_of(request: Request) -> Key:
    """What the path calls `{key}`. Raises Unknown."""
    return key(request.path_params["key"])


async def read_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object (contract E5).

    Raises MediaTypeUnsupported, NotJson, NotAnObject, TooLarge, UploadBroken.
    """
    announced = content_length(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    is_json = media_type.lower() == "application/json"
    if announced and not is_json:
        raise MediaTypeUnsupported(media_type)
    body = await read_body(request.receive, min(max_bytes, _MOST_BODY_BYTES))
    if not body:
        return {}
    if not is_json:
        raise MediaTypeUnsupported(media_type)
    return _decoded(body)


def _decoded(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        value = decode_json(body)
    except Invalid as exc:
        raise NotJson(exc.message) from exc
    if not isinstance(value, dict):
        raise NotAnObject(type(value).__name__)
    return value
