import logging
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, Router

from pinakes.core.errors import BadLogin, DatabaseUnavailable, PinakesError, Unauthenticated, UploadBroken
from pinakes.web.jsonbody import respond_json
from pinakes.web.resource import Resource
from tests.web.asgi import Incoming, Result, body, call, http_scope


def on_error(request: Request, error: Exception) -> Response:
    status = 401 if isinstance(error, Unauthenticated) else 400 if isinstance(error, PinakesError) else 500
    return respond_json({"error": type(error).__name__}, status)


def not_allowed(request: Request, allow: str) -> Response:
    return respond_json({"error": "method"}, 405, {"Allow": allow})


def resource(handlers: dict[str, Any], **options: Any) -> Resource:
    return Resource(handlers, **{"method_not_allowed": not_allowed, "on_error": on_error, **options})


async def hello(request: Request) -> Response:
    return respond_json({"hello": "world"})


async def refuse(request: Request) -> Response:
    raise BadLogin


def raising(error: Exception) -> Any:
    async def handler(request: Request) -> Response:
        raise error

    return handler


def test_a_method_finds_its_handler_behind_a_route() -> None:
    router = Router([Route("/x/{id}", resource({"GET": hello, "DELETE": refuse}))])
    assert call(router, http_scope("GET", "/x/1")).json == {"hello": "world"}
    assert call(router, http_scope("DELETE", "/x/1")).status == 400
    assert call(router, http_scope("PUT", "/x/1")).status == 405


def test_head_is_get_without_its_body() -> None:
    result = call(resource({"GET": hello}), http_scope("HEAD"))
    assert (result.status, result.headers["content-length"], result.body) == (200, "17", b"")


def test_head_of_something_without_get_is_not_allowed() -> None:
    assert call(resource({"POST": hello}), http_scope("HEAD")).status == 405


def test_options_tells_what_is_allowed_in_the_order_it_was_given() -> None:
    result = call(resource({"GET": hello, "POST": hello, "DELETE": hello}), http_scope("OPTIONS"))
    assert (result.status, result.headers["allow"]) == (200, "GET, POST, DELETE, HEAD, OPTIONS")
    other = resource({"GET": hello}, options_status=204, options_headers={"Vary": "Accept"})
    result = call(other, http_scope("OPTIONS"))
    assert (result.status, result.headers) == (204, {"vary": "Accept", "allow": "GET, HEAD, OPTIONS"})


def test_options_can_be_a_method_like_any_other() -> None:
    result = call(resource({"GET": hello}, options_status=None), http_scope("OPTIONS"))
    assert (result.status, result.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["POST", "BREW", "get", ""])
def test_other_methods_are_refused_in_the_api_s_shape(method: str) -> None:
    result = call(resource({"GET": hello}), http_scope(method))
    assert (result.status, result.json, result.headers["allow"]) == (405, {"error": "method"}, "GET, HEAD, OPTIONS")


def test_an_api_may_ask_who_is_there_before_it_speaks_of_methods() -> None:
    async def stern(request: Request, allow: str) -> Response:
        raise Unauthenticated

    assert call(resource({"GET": hello}, method_not_allowed=stern), http_scope("PUT")).status == 401


def test_an_error_of_the_core_is_answered_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert call(resource({"GET": refuse}), http_scope()).json == {"error": "BadLogin"}
    assert caplog.text == ""


def test_an_unexpected_exception_is_answered_and_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        try:
            raise KeyError("the secret cause")
        except KeyError as exc:
            raise RuntimeError("the secret message") from exc

    with caplog.at_level(logging.DEBUG):
        result = call(resource({"GET": handler}), http_scope())
    assert (result.status, result.json) == (500, {"error": "RuntimeError"})
    assert "builtins.RuntimeError at " in caplog.text
    assert "builtins.KeyError at " in caplog.text
    assert "test_resource.py:" in caplog.text
    assert "secret" not in caplog.text


def test_a_part_that_is_unavailable_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    call(resource({"GET": raising(DatabaseUnavailable("secret"))}), http_scope())
    assert "DatabaseUnavailable" in caplog.text
    assert "secret" not in caplog.text


def test_an_error_table_that_fails_is_answered_with_the_last_resort(caplog: pytest.LogCaptureFixture) -> None:
    def failing(request: Request, error: Exception) -> Response:
        raise LookupError("secret")

    broken = resource({"GET": refuse}, on_error=failing, internal_error=b'{"message":"oops"}')
    result = call(broken, http_scope())
    assert (result.status, result.json) == (500, {"message": "oops"})
    assert "secret" not in caplog.text


def test_a_client_that_left_is_a_broken_upload() -> None:
    assert call(resource({"GET": raising(ClientDisconnect())}), http_scope()).json == {"error": "UploadBroken"}
    assert issubclass(UploadBroken, PinakesError)


def test_an_answer_that_breaks_off_is_never_completed() -> None:
    async def handler(request: Request) -> Response:
        async def pieces() -> Any:
            yield b"x"
            raise RuntimeError("secret")

        return StreamingResponse(pieces())

    result = call(resource({"GET": handler}), http_scope())
    assert (result.status, result.body, result.is_complete) == (200, b"x", False)


# -- The rest of the body -----------------------------------------------------------------------------------------


def refused(headers: list[tuple[str, str]], incoming: Incoming, method: str = "POST") -> Result:
    return call(resource({"POST": refuse, "GET": hello}), http_scope(method, headers=headers), incoming)


def test_what_was_not_read_of_a_body_is_read_after_the_answer() -> None:
    incoming = Incoming(body(b"abc", b"def"))
    result = refused([("Content-Length", "6")], incoming)
    assert (result.status, result.is_complete, incoming.messages) == (400, True, [])
    assert "connection" not in result.headers


def test_a_body_on_get_is_read_away() -> None:
    incoming = Incoming(body(b"{}"))
    assert refused([("Content-Length", "2")], incoming, "GET").status == 200
    assert incoming.messages == []


@pytest.mark.parametrize("headers", [[], [("Content-Length", "0")]])
def test_without_a_body_nothing_is_asked_for(headers: list[tuple[str, str]]) -> None:
    incoming = Incoming(body())
    refused(headers, incoming, "GET")
    assert incoming.asked == 0


def test_a_refusal_before_the_100_announces_the_close() -> None:
    incoming = Incoming(body(b"abc"))
    result = refused([("Content-Length", "3"), ("Expect", "100-Continue")], incoming)
    assert (result.status, result.headers["connection"]) == (400, "close")


def test_a_refusal_of_more_than_will_be_drained_announces_the_close() -> None:
    result = refused([("Content-Length", str(65 * 1024 * 1024))], Incoming(body(b"abc")))
    assert result.headers["connection"] == "close"


def test_http_2_is_not_told_about_connections() -> None:
    scope = {**http_scope("POST", headers=[("Content-Length", str(10**10))]), "http_version": "2"}
    assert "connection" not in call(resource({"POST": refuse}), scope, Incoming(body(b"abc"))).headers
