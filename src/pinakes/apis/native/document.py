"""The OpenAPI document: what FastAPI makes of the operations, and what it cannot know."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from pinakes import __version__
from pinakes.apis.native.models.values import ProblemDetails
from pinakes.web.sessions import cookie_name

_DESCRIPTION = """
Machine images with their versions and contents, shares, groups, tags and jobs; thumbnails of images of every kind.

Tokens are the ones of every other API: `Authorization: Bearer <token>`. Without one, public images can be read.
Pages of the archive itself may have a session instead, which is a cookie; changes with it take `Sec-Fetch-Site` or
`Origin` as browsers send them.
Every error is a problem detail (RFC 9457). Lists are read page by page: pass `next_cursor` as `cursor`.
"""


def new_api() -> FastAPI:
    """FastAPI, for its reading of signatures; it serves nothing by itself, and no pages with scripts from elsewhere."""
    return FastAPI(
        title="Pinakes",
        version=__version__,
        description=_DESCRIPTION.strip(),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )


def document_of(api: FastAPI, base: str) -> dict[str, Any]:
    """The document for a server whose API is at `base`."""
    document = deepcopy(api.openapi())
    document["servers"] = [{"url": base}]
    components = document.setdefault("components", {})
    cookie = cookie_name(is_secure=base.startswith("https://"))
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie},
    }
    components["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own 422, which is a 400 here
        components["schemas"].pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["security"] = [{"token": []}, {"session": []}, {}]
    return document
