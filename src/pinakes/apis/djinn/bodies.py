"""Reading requests and writing answers: what every resource of this API does alike."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.djinn.errors import MEDIA_TYPE, BodyTooLarge
from pinakes.core.errors import TooLarge
from pinakes.core.page import PageRequest
from pinakes.web.api import ApiContext
from pinakes.web.jsonbody import decode_object, respond_json
from pinakes.web.paging import link_header, parse_page
from pinakes.web.paths import raw_path
from pinakes.web.transfer import read_body

PAGE_SIZE = 25


async def read_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """The JSON object of a body; an empty body counts as an empty object (contract 5.9).

    Raises Invalid, BodyTooLarge, UploadBroken.
    """
    try:
        body = await read_body(request.receive, max_bytes)
    except TooLarge as exc:
        raise BodyTooLarge(exc.limit_bytes) from exc
    return decode_object(body) if body.strip() else {}


def page_request(request: Request) -> PageRequest:
    """The page a list is asked for (contract 4.3, 4.4)."""
    query = request.query_params
    return PageRequest(parse_page(query.get("page")), PAGE_SIZE, query.get("search") or "")


class Answers:
    """Answers with absolute URLs in them."""

    def __init__(self, context: ApiContext) -> None:
        self._origins = context.origins

    def base(self, request: Request) -> str:
        """The API's external address, without a final slash (contract 1.8)."""
        return self._origins.base_url(request.scope)

    def json(self, value: Any, status: int = 200) -> Response:
        return respond_json(value, status, media_type=MEDIA_TYPE)

    def page(self, request: Request, items: Sequence[Any], page: PageRequest, *, has_next: bool) -> Response:
        """A list with its Link header, if it has neighbours (contract 4.5)."""
        url = self.base(request) + raw_path(request.scope).decode("ascii", "replace")
        link = link_header(url, request.query_params.multi_items(), page.number, has_next)
        headers = {"Link": link} if link else None
        return respond_json(items, 200, headers, media_type=MEDIA_TYPE)

    def nothing(self) -> Response:
        return Response(None, 204)
