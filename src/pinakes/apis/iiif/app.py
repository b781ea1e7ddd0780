"""The application: every route of the IIIF API in one table.

Each is there once more below `/view/{link}`, for viewers that cannot send a header. Any web page may ask: what is not
public is told only to who shows a token or a link, which no browser sends of its own accord; or has a session, which
browsers let no page of another origin use.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.apis.iiif.auth import Callers
from pinakes.apis.iiif.deepzoom import DeepZoom
from pinakes.apis.iiif.errors import PathUnknown, method_not_allowed, on_error
from pinakes.apis.iiif.heat import HeatMaps
from pinakes.apis.iiif.images import Images
from pinakes.apis.iiif.presentation import Presentation
from pinakes.web.api import ApiContext
from pinakes.web.cors import ANY_ORIGIN, Cors
from pinakes.web.resource import Handler, Resource

_LINKED = "/view/{link}"


def create(context: ApiContext) -> ASGIApp:
    """The application, over an archive."""
    callers = Callers(context.archive, context.bridge, context.origins)
    images = Images(context, callers)
    deepzoom = DeepZoom(context, callers)
    heat_maps = HeatMaps(context, callers)
    presentation = Presentation(context, callers)
    table: Mapping[str, Handler] = {
        # Tiles are asked for by far the most; routes are tried in this order.
        "/3/{identifier}/{region}/{size}/{rotation}/{file}": images.image,
        "/dzi/{name}/{level}/{tile}": deepzoom.tile,
        "/3/{identifier}": images.redirect,
        "/3/{identifier}/info.json": images.information,
        "/dzi/{name}": deepzoom.descriptor,
        "/heat/{image}/{name}": heat_maps.show,
        "/heat/{image}/{name}/{level}/{tile}": heat_maps.tile,
        "/presentation/images/{identifier}": presentation.image,
        "/presentation/images/{image}/study": presentation.dicom_study,
        "/presentation/patients/{patient}": presentation.patient,
        "/presentation/studies/{study}": presentation.study,
    }
    resources = {path: _resource(handler) for path, handler in table.items()}
    routes = [Route(prefix + path, resource) for prefix in ("", _LINKED) for path, resource in resources.items()]
    return Cors(
        Router(routes, redirect_slashes=False, default=_not_found),
        (ANY_ORIGIN,),
        allowed_headers=("If-None-Match",),
        exposed_headers=("ETag", "Link", "Retry-After"),
    )


def _resource(handler: Handler) -> Resource:
    return Resource({"GET": handler}, method_not_allowed=method_not_allowed, on_error=on_error, options_status=204)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await on_error(Request(scope), PathUnknown())(scope, receive, send)
