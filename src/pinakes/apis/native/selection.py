"""Content as an answer: all of it, a range, or what its conditions make of the request instead."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.errors import PreconditionFailed, RangeUnsatisfiable
from pinakes.core.content.store import Reader
from pinakes.web.bridge import Bridge
from pinakes.web.download import respond_content
from pinakes.web.ranges import Selection


async def respond_selected(
    request: Request,
    selected: Selection,
    size_bytes: int,
    bridge: Bridge,
    open_reader: Callable[[], Reader],
    headers: Mapping[str, str],
    media_type: str,
) -> Response:
    """headers: beside those of the selection.   size_bytes: of all of the content.

    Raises PreconditionFailed, RangeUnsatisfiable, and what opening it raises.
    """
    headers = {**selected.headers, **headers}
    match selected.status:
        case 304:
            return Response(None, 304, headers)
        case 412:
            raise PreconditionFailed
        case 416:
            raise RangeUnsatisfiable(size_bytes)
    return await respond_content(request, selected, bridge, open_reader, headers, media_type)
