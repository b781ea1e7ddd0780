"""Logins with a name and a password, in whichever API: judged in a thread, refusals held back as the core says."""

import asyncio

from starlette.requests import Request

from pinakes.core.actor import Actor, Kind
from pinakes.core.clock import Instant
from pinakes.core.errors import BadLogin
from pinakes.web.api import ApiContext


async def log_in(
    context: ApiContext,
    request: Request,
    api: str,
    name: str,
    password: str,
    *,
    kind: Kind | None = None,
    expires_at: Instant | None = None,
) -> tuple[Actor, str]:
    """A new token for who asks. Arguments and errors are those of `Credentials.login`."""
    address = context.origins.client_address(request.scope)
    login = context.archive.credentials.login
    try:
        return await context.bridge.thread(login, api, name, password, address, kind=kind, expires_at=expires_at)
    except BadLogin as error:
        await asyncio.sleep(error.delay_seconds)
        raise
