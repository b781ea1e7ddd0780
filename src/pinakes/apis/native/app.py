"""The application: every operation of the native API in one table, and the OpenAPI document made from it."""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.apis.native.annotations import Annotations
from pinakes.apis.native.associated import Associated
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.bodies import MOST_BYTES
from pinakes.apis.native.content import Contents
from pinakes.apis.native.descriptions import Descriptions
from pinakes.apis.native.document import document_of, new_api
from pinakes.apis.native.errors import PathUnknown, Problems, ProblemUnknown, known_problems
from pinakes.apis.native.groups import Groups
from pinakes.apis.native.icons import Icons
from pinakes.apis.native.images import Images
from pinakes.apis.native.jobs import Jobs
from pinakes.apis.native.operations import Added, Operation, add, handler_of
from pinakes.apis.native.runs import Runs
from pinakes.apis.native.sessions import Sessions
from pinakes.apis.native.shares import Shares
from pinakes.apis.native.tags import Tags
from pinakes.apis.native.thumbnails import Thumbnails
from pinakes.apis.native.versions import Versions
from pinakes.apis.native.view_links import ViewLinks
from pinakes.apis.native.viewers import Viewers
from pinakes.apis.native.vm_images import VmImages
from pinakes.web.api import ApiContext
from pinakes.web.cors import Cors
from pinakes.web.exchange import call_app
from pinakes.web.jsonbody import respond_json
from pinakes.web.resource import Handler, Resource

_SENT_BY_PAGES = (
    "Range",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Content-Digest",
    "Repr-Digest",
    "X-Checksum-Sha256",
)
_READ_BY_PAGES = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Repr-Digest",
    "Retry-After",
    "X-Tile-Left",
    "X-Tile-Top",
    "X-Tile-Unit",
)

_IMAGE = "/vm-images/{image_id}"
_VERSION = f"{_IMAGE}/versions/{{version_id}}"


def create(context: ApiContext) -> ASGIApp:
    """The application, over an archive."""
    callers = Callers(context.archive, context.bridge, context.origins)
    problems = Problems(context.origins)
    vm_images = VmImages(context, callers)
    versions = Versions(context, callers)
    contents = Contents(context, callers)
    icons = Icons(context, callers)
    shares = Shares(context, callers)
    groups = Groups(context, callers)
    tags = Tags(context, callers)
    jobs = Jobs(context, callers)
    sessions = Sessions(context, callers)
    viewers = Viewers(context)
    images = Images(context, callers, viewers)
    thumbnails = Thumbnails(context, callers)
    associated = Associated(context, callers)
    descriptions = Descriptions(context, callers, viewers)
    view_links = ViewLinks(context, callers, viewers)
    annotations = Annotations(context, callers)
    runs = Runs(context, callers)
    table = [
        Operation("GET", "/vm-images", vm_images.list, "vm-images"),
        Operation("POST", "/vm-images", vm_images.create, "vm-images", 201, (409,)),
        Operation("GET", _IMAGE, vm_images.get, "vm-images"),
        Operation("PATCH", _IMAGE, vm_images.update, "vm-images"),
        Operation("DELETE", _IMAGE, vm_images.end, "vm-images", 204),
        Operation("POST", f"{_IMAGE}/restore", vm_images.restore, "vm-images"),
        Operation("POST", f"{_IMAGE}/purge", vm_images.purge, "vm-images", 204),
        Operation("POST", f"{_IMAGE}/transfer", vm_images.transfer, "vm-images", errors=(409,)),
        Operation("PATCH", f"{_IMAGE}/moderation", vm_images.moderate, "vm-images", errors=(409,)),
        Operation("GET", f"{_IMAGE}/shares", shares.get, "shares"),
        Operation("PUT", f"{_IMAGE}/shares", shares.set, "shares"),
        icons.put_operation(f"{_IMAGE}/icon"),
        Operation("DELETE", f"{_IMAGE}/icon", icons.remove, "icons", 204),
        Operation("GET", f"{_IMAGE}/versions", versions.list, "versions"),
        Operation("POST", f"{_IMAGE}/versions", versions.create, "versions", 201, (409,)),
        Operation("GET", _VERSION, versions.get, "versions"),
        Operation("PATCH", _VERSION, versions.update, "versions", errors=(409,)),
        *contents.operations(f"{_VERSION}/content"),
        Operation("POST", f"{_VERSION}/import", versions.fetch, "versions", 202, (409, 429)),
        Operation("GET", "/groups", groups.list, "groups"),
        Operation("POST", "/groups", groups.create, "groups", 201, (409,)),
        Operation("GET", "/groups/{group_id}", groups.get, "groups"),
        Operation("PATCH", "/groups/{group_id}", groups.update, "groups", errors=(409,)),
        Operation("DELETE", "/groups/{group_id}", groups.delete, "groups", 204),
        Operation("DELETE", "/groups/{group_id}/members/{username}", groups.leave, "groups", 204),
        Operation("GET", "/tags", tags.list, "tags"),
        Operation("POST", "/tags", tags.create, "tags", 201, (409,)),
        Operation("GET", "/jobs", jobs.list, "jobs"),
        Operation("GET", "/jobs/{job_id}", jobs.get, "jobs"),
        Operation("GET", "/jobs/{job_id}/log", jobs.log, "jobs"),
        Operation("POST", "/jobs/{job_id}/cancel", jobs.cancel, "jobs"),
        Operation("POST", "/session", sessions.begin, "sessions", 201, (429,), is_open=True),
        Operation("GET", "/session", sessions.get, "sessions"),
        Operation("DELETE", "/session", sessions.end, "sessions", 204),
        Operation("GET", "/images", images.list, "images"),
        Operation("GET", "/images/{image_id}", images.get, "images"),
        *thumbnails.operations("/images/{image_id}/thumbnail"),
        *associated.operations("/images/{image_id}/associated/{name}"),
        Operation("GET", "/images/{image_id}/description", descriptions.description, "images"),
        Operation("POST", "/images/{image_id}/ingest", descriptions.ingest, "images", 202),
        Operation("POST", "/images/{image_id}/view-links", view_links.create, "view-links", 201),
        Operation("GET", "/images/{image_id}/events", images.events, "images"),
        *annotations.operations("/images/{image_id}/annotations"),
        *runs.operations("/images/{image_id}/runs", "/study-runs"),
    ]
    api = new_api()
    added = add(api, table, context.bridge)
    resources = _resources(api, added, callers, problems, context)
    routes = [Route(path, resource) for path, resource in resources.items()]
    application = Application(Router(routes, redirect_slashes=False, default=_nothing_at(problems)))
    return Cors(application, context.allowed_origins, allowed_headers=_SENT_BY_PAGES, exposed_headers=_READ_BY_PAGES)


class Application:
    """The router, in an exchange of its own also where nothing outside has begun one."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await call_app(self._router, scope, receive, send)


def _resources(
    api: FastAPI, added: Added, callers: Callers, problems: Problems, context: ApiContext
) -> Mapping[str, Resource]:
    """One resource for each path, the two that describe the API among them."""
    max_json_bytes = min(context.max_json_bytes, MOST_BYTES)

    async def document(request: Request) -> Response:
        base = problems.origins.base_url(request.scope)
        return await context.bridge.thread(lambda: respond_json(document_of(api, base)))

    async def problem(request: Request) -> Response:
        found = known_problems().get(request.path_params["name"])
        if found is None:
            raise ProblemUnknown
        return respond_json(problems.described(request, found))

    handlers: dict[str, dict[str, Handler]] = {
        "/openapi.json": {"GET": document},
        "/problems/{name}": {"GET": problem},
    }
    for operation, route in added:
        handler = handler_of(operation, route, callers, context.bridge, max_json_bytes)
        handlers.setdefault(operation.path, {})[operation.method] = handler
    return {
        path: Resource(
            of_path,
            method_not_allowed=problems.method_not_allowed,
            on_error=problems.on_error,
            options_status=204,
        )
        for path, of_path in handlers.items()
    }


def _nothing_at(problems: Problems) -> ASGIApp:
    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        await problems.on_error(Request(scope), PathUnknown())(scope, receive, send)

    return respond
