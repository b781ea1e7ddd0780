"""Reading requests and writing answers: what every resource of this API does alike."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq import representation
from pinakes.apis.pathomiq.errors import NO_STORE, BodyTypeUnsupported, StateRefused
from pinakes.core.actor import Actor
from pinakes.core.errors import ImageUnknown, InvalidFields, WrongState
from pinakes.core.slides.records import Slide
from pinakes.web.api import ApiContext
from pinakes.web.jsonbody import decode_object, respond_json
from pinakes.web.paging import MAX_ID, parse_id
from pinakes.web.transfer import read_body

R = TypeVar("R")

MAX_JSON_BYTES = 1024 * 1024
"""The largest JSON body (contract 1)."""

_UID = re.compile(r"[0-9a-f]{32}")
_DIGITS = re.compile(r"[0-9]+")
_LARGEST_REFERENCE = 10**255
"""Beyond any number that the 255 digits of an identifier can hold."""


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object of a body. Raises BodyTypeUnsupported, Invalid, TooLarge, UploadBroken."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json":
        raise BodyTypeUnsupported
    return decode_object(await read_body(request.receive, MAX_JSON_BYTES))


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A member that must be a text. Raises InvalidFields."""
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidFields.one(name, "must be a string")
    return value


def optional_text_of(body: Mapping[str, Any], name: str) -> str | None:
    """The same, where null is none. Raises InvalidFields."""
    return None if body.get(name) is None else text_of(body, name)


def reference_of(body: Mapping[str, Any], name: str) -> str | None:
    """An identifier of the laboratory's own: an int or a string, kept as a string (contract 2.1)."""
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _LARGEST_REFERENCE:
        raise InvalidFields.one(name, "must be an integer or a string")
    return str(value)


def user_id_of(value: Any, name: str = "userid") -> int:
    """A user's id: a positive integer, or its digits (contract 4.9). Raises InvalidFields."""
    user_id = parse_id(value) if isinstance(value, str) else value
    if isinstance(user_id, bool) or not isinstance(user_id, int) or not 0 < user_id <= MAX_ID:
        raise InvalidFields.one(name, "must be a positive integer")
    return user_id


def image_ref_of(body: Mapping[str, Any]) -> str | int:
    """The image a body names by `imageid`: by its uid, or by its id (contract 10).

    Raises InvalidFields for what is neither text nor number, ImageUnknown for what can name nothing.
    """
    value = body.get("imageid")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidFields.one("imageid", "must be the unique id of an image")
    if isinstance(value, str) and _UID.fullmatch(value):
        return value
    image_id = parse_id(value) if isinstance(value, str) else value
    if image_id is None or not 0 < image_id <= MAX_ID:
        raise ImageUnknown
    return image_id


def number_of(request: Request, name: str) -> int | None:
    """A number in the query, 0 or more; beyond any list it is the largest there is. Raises InvalidFields."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not _DIGITS.fullmatch(text):
        raise InvalidFields.one(name, "must be a number")
    return (parse_id(text) or MAX_ID) if text.strip("0") else 0


class Answers:
    """Answers in JSON, and images as the caller reads them."""

    def __init__(self, context: ApiContext) -> None:
        self._origins = context.origins
        self._slides = context.archive.slides

    def origin(self, request: Request) -> str:
        """The API's external address, without a final slash."""
        return self._origins.base_url(request.scope)

    def image(self, request: Request, slide: Slide) -> representation.Json:
        return representation.image(slide, self.origin(request))

    def json(self, value: Any, headers: Mapping[str, str] | None = None) -> Response:
        return respond_json(value, 200, {**NO_STORE, **(headers or {})})

    def done(self, text: str, image: representation.Json | None = None) -> Response:
        """`{"success": true, ...}`."""
        return self.json({"success": True, "status": text, **({} if image is None else {"image": image})})

    def explained(self, request: Request, actor: Actor, ref: str | int, operation: Callable[[], R]) -> R:
        """Call an operation on an image; a refusal because of its state brings the image along (contract 1, D2)."""
        try:
            return operation()
        except WrongState as exc:
            raise StateRefused(exc.message, self.image(request, self._slides.find(actor, ref))) from exc
