"""POST /login/ and /logout/ (contract section 2)."""

from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.tscharts.auth import NAME, SCOPE, authenticate
from pinakes.apis.tscharts.endpoint import Endpoints
from pinakes.apis.tscharts.fields import Members
from pinakes.core.errors import BadLogin, InvalidFields, KindMissing, Refused
from pinakes.web.api import ApiContext
from pinakes.web.jsonbody import respond_json
from pinakes.web.logins import log_in


class SessionResource:
    """Tokens for names and passwords."""

    def __init__(self, context: ApiContext, endpoints: Endpoints) -> None:
        self._context = context
        self._credentials = context.archive.credentials
        self._bridge = context.bridge
        self._endpoints = endpoints

    async def login(self, request: Request) -> Response:
        """An `Authorization` header is ignored: tablets send their old token along (L1)."""
        name, password = _name_and_password(await self._endpoints.members(request))
        try:
            actor, token = await log_in(self._context, request, NAME, name, password, kind=SCOPE)
        except KindMissing as exc:
            raise BadLogin from exc  # 403 at login, where every other request is answered 401 (G17)
        return respond_json({"token": token, "id": str(actor.user_id)})  # L2: the id is a string

    async def logout(self, request: Request) -> Response:
        """Always well, with a token or without (O1). Other devices of the user stay signed in (O2)."""
        with suppress(Refused):
            await self._bridge.thread(self._forget, request)
        return respond_json({})

    def _forget(self, request: Request) -> None:
        self._credentials.logout(authenticate(self._credentials, request))


def _name_and_password(members: Members) -> tuple[str, str]:
    """Raises InvalidFields for what is missing, BadLogin for what can be nobody's (L3 to L5)."""
    name: Any = members.value("username")
    if "password" not in members and "pin" not in members:
        raise InvalidFields.one("password", "is required")
    password: Any = members.value("password") if "password" in members else None  # nobody has a PIN here
    if not isinstance(name, str) or not isinstance(password, str):
        raise BadLogin
    return name, password
