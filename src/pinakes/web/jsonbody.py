"""Whole JSON bodies, in and out. Huge ones are read by `json_stream`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from pinakes.core.errors import Invalid

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode_object(body: bytes | bytearray) -> dict[str, Any]:
    """The JSON object that a body is. Raises Invalid for an empty body and for anything that is no JSON object.

    Also for invalid UTF-8, lone surrogates, NaN, and nesting too deep. Of a repeated member the last counts.
    """
    if not body.strip():
        raise Invalid("The body is empty; a JSON object is expected.")
    value = decode_json(body)
    if not isinstance(value, dict):
        raise Invalid("The body is not a JSON object.")
    return value


def decode_json(body: bytes | bytearray) -> Any:
    """Any JSON value. Raises Invalid, and nothing else."""
    try:
        return _decoder.decode(body)
    except RecursionError as exc:
        raise Invalid("The body is nested too deeply.") from exc
    except (ValueError, OverflowError) as exc:  # msgspec's own errors, and UnicodeDecodeError, are ValueErrors
        raise Invalid("The body is not valid JSON.") from exc


def respond_json(
    value: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """A JSON answer with an exact Content-Length. media_type is the whole Content-Type, parameters included."""
    return Response(_encoder.encode(value), status, headers, media_type)
