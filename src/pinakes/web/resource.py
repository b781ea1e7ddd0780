"""One resource of an API: a table from method to handler, and the manners that every resource has.

Faults never reach the server: whatever is raised becomes an answer in the API's own shape.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pinakes.core.errors import PinakesError, Unavailable, UploadBroken
from pinakes.web.exchange import Inbound, Outbound, converse
from pinakes.web.faults import log_fault

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
MethodNotAllowed = Callable[[Request, str], Response | Awaitable[Response]]
OnError = Callable[[Request, Exception], Response]

INTERNAL_ERROR = b'{"detail":"Internal Server Error"}'


class Resource:
    """An ASGI endpoint for `starlette.routing.Route`.

    handlers: method -> handler, in the order in which `Allow` names them. GET also serves HEAD, without the body.
    method_not_allowed(request, allow): the API's 405; may be a coroutine, and may raise (where 401 comes first).
    on_error(request, error): the API's answer to anything raised, unexpected exceptions included. They are logged here,
    without their messages.
    options_status: how OPTIONS is answered, with Allow and options_headers; None makes it a method not allowed.
    internal_error: the JSON of the last resort, for when on_error itself fails.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        method_not_allowed: MethodNotAllowed,
        on_error: OnError,
        options_status: int | None = 200,
        options_headers: Mapping[str, str] | None = None,
        internal_error: bytes = INTERNAL_ERROR,
    ) -> None:
        self._handlers = dict(handlers)
        if "GET" in self._handlers:
            self._handlers.setdefault("HEAD", self._handlers["GET"])
        if options_status is not None:
            self._handlers.setdefault("OPTIONS", self._options)
        self.allow = ", ".join(self._handlers)
        self._method_not_allowed = method_not_allowed
        self._on_error = on_error
        self._options_status = options_status or 200
        self._options_headers = {**(options_headers or {}), "Allow": self.allow}
        self._internal_error = internal_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def respond(inbound: Inbound, outbound: Outbound) -> None:
            await self._respond(Request(scope, inbound, outbound), inbound, outbound)

        await converse(scope, receive, send, respond)

    async def _respond(self, request: Request, inbound: Inbound, outbound: Outbound) -> None:
        """Answer the request; once an answer has begun, a fault can only end it short, which closes the connection."""
        try:
            response = await self._handle(request)
            await response(request.scope, inbound, outbound)
        except Exception as error:
            if outbound.is_started:
                log_fault(log, "an answer broke off", error)
                return
            await self._answer_to(request, error)(request.scope, inbound, outbound)

    async def _handle(self, request: Request) -> Response:
        handler = self._handlers.get(request.method)
        if handler is not None:
            return await handler(request)
        refusal = self._method_not_allowed(request, self.allow)
        return await refusal if inspect.isawaitable(refusal) else refusal

    def _answer_to(self, request: Request, error: Exception) -> Response:
        if isinstance(error, ClientDisconnect):
            error = UploadBroken()
        if not isinstance(error, PinakesError):
            log_fault(log, "a request failed unexpectedly", error)
        elif isinstance(error, Unavailable):
            log_fault(log, "a request found a part of the archive unavailable", error)
        try:
            return self._on_error(request, error)
        except Exception as fault:
            log_fault(log, "the answer to an error failed", fault)
            return Response(self._internal_error, 500, media_type="application/json")

    async def _options(self, request: Request) -> Response:  # noqa: ARG002
        return Response(None, self._options_status, self._options_headers)
