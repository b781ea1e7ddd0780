"""The application: every route of the PathomIQ API in one table (pathomiq contract, section 4).

A slash at the end of a path is ignored; the case of letters counts. HEAD does what GET does without the body, but never
starts or stops anything.
"""

from collections.abc import Mapping

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.apis.pathomiq.annotations import Annotations
from pinakes.apis.pathomiq.auth import Callers
from pinakes.apis.pathomiq.bodies import Answers
from pinakes.apis.pathomiq.errors import PathUnknown, answer_to, method_not_allowed, on_error, on_log_error, respond
from pinakes.apis.pathomiq.files import Files
from pinakes.apis.pathomiq.images import Images
from pinakes.apis.pathomiq.logs import Logs
from pinakes.apis.pathomiq.sharing import Sharing
from pinakes.apis.pathomiq.uploads import Uploads
from pinakes.web.api import ApiContext
from pinakes.web.cors import Cors
from pinakes.web.resource import Handler, OnError, Resource

_INTERNAL_ERROR = b'{"success":false,"status":"Something went wrong in the archive."}'


def create(context: ApiContext) -> ASGIApp:
    """The application, over an archive."""
    answers = Answers(context)
    callers = Callers(context.archive, context.bridge)
    images = Images(context, callers, answers)
    sharing = Sharing(context, callers, answers)
    logs = Logs(context, callers, answers)
    files = Files(context, callers)
    annotations = Annotations(context, callers, answers)
    table: Mapping[str, Mapping[str, Handler]] = {
        "/Users/imagelist": {"GET": images.by_user},
        "/Images": {"POST": images.create},
        "/Images/userid/{user}": {"GET": images.of_user},
        "/Images/startpredict/{image}": {"GET": images.start, "HEAD": images.look, "POST": images.start},
        "/Images/stoppredict/{image}": {"GET": images.stop, "HEAD": images.look, "POST": images.stop},
        "/Images/adduser": {"POST": sharing.add},
        "/Images/removeuser": {"POST": sharing.remove},
        "/Images/updateuser": {"POST": sharing.replace},
        "/Images/{image}": {"GET": images.get, "PUT": images.update, "DELETE": images.delete},
        "/S3/file/{image}": {"GET": files.download},
        "/S3/raw/{name}": {"GET": annotations.download},
        "/Annotations/upload": {"POST": annotations.create},
        "/Annotations/upload/{image}/{type}": {"POST": annotations.create},
        "/Images/metric/{image}": {"GET": annotations.metric},
    }
    resources: dict[str, ASGIApp] = {path: _resource(handlers) for path, handlers in table.items()}
    resources["/LogInfo"] = _resource({"GET": logs.list, "POST": logs.post}, on_log_error)
    resources["/LogInfo/{image}"] = _resource({"GET": logs.of_image})
    resources["/S3/{bucket}"] = Uploads(context).resource
    routes = [Route(path + slash, resource) for path, resource in resources.items() for slash in ("", "/")]
    return Cors(
        Router(routes, redirect_slashes=False, default=_not_found),
        context.allowed_origins,
        exposed_headers=("ETag", "Location", "X-Total-Count", "X-Annotation-Version", "X-Annotation-Source"),
    )


def _resource(handlers: Mapping[str, Handler], errors: OnError = on_error) -> Resource:
    return Resource(handlers, method_not_allowed=method_not_allowed, on_error=errors, internal_error=_INTERNAL_ERROR)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(answer_to(PathUnknown()))(scope, receive, send)
