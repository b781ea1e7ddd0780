"""JSON bodies on their way in: bounded in bytes and in what they hold, before FastAPI looks at them.

FastAPI compares a body with its model in the event loop. That takes as long as the body holds values, so these are
counted before; a large body is read in a thread.
"""

from typing import Any, Final

from starlette.requests import Request

from pinakes.apis.native.errors import BodyUnsupported
from pinakes.core.errors import Invalid, TooLarge
from pinakes.web.bridge import Bridge
from pinakes.web.jsonbody import decode_json
from pinakes.web.transfer import content_length, read_body

MOST_BYTES: Final = 4 * 1024 * 1024
"""The largest JSON body taken, in bytes: a description of a million characters fits in it."""

MOST_OPEN_BYTES: Final = 16 * 1024
"""The same for who has shown no credential yet."""

MOST_VALUES: Final = 10_000
"""How many values a body can hold, members and items at every depth counted: more than any request needs."""

_SMALL_BYTES = 64 * 1024  # read in the event loop; a hop to a thread would take longer


class JsonRequest(Request):
    """A request whose JSON body has been read."""

    _value: Any = None
    _bytes: bytes = b""

    @classmethod
    async def of(cls, request: Request, bridge: Bridge, max_bytes: int) -> "JsonRequest":
        """Raises BodyUnsupported, Invalid, TooLarge, UploadBroken."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise BodyUnsupported("The body must be application/json.")
        announced = content_length(request)
        if announced is not None and announced > max_bytes:
            raise TooLarge(max_bytes)
        body = await read_body(request.receive, max_bytes)
        read = cls(request.scope, request.receive)
        read._bytes = body
        read._value = value_of(body) if len(body) <= _SMALL_BYTES else await bridge.thread(value_of, body)
        return read

    async def body(self) -> bytes:
        return self._bytes

    async def json(self) -> Any:
        return self._value


def value_of(body: bytes) -> Any:
    """The JSON value that a body is. Raises Invalid, also for one of more than MOST_VALUES."""
    if not body.strip():
        raise Invalid("The body is empty; a JSON object is expected.")
    value = decode_json(body)
    count, waiting = 0, [value]
    while waiting:
        parts = waiting.pop()
        if isinstance(parts, dict):
            parts = list(parts.values())
        if isinstance(parts, list):
            count += len(parts)
            if count > MOST_VALUES:
                raise Invalid(f"The body holds more than {MOST_VALUES} values; send less at a time.")
            waiting.extend(parts)
    return value
