"""Invites to collaborate in a namespace (djinn contract, section 6)."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.djinn import representation
from pinakes.apis.djinn.auth import Callers
from pinakes.apis.djinn.bodies import Answers, read_object
from pinakes.apis.djinn.errors import REQUIRED
from pinakes.apis.djinn.namespaces import place
from pinakes.apis.djinn.representation import strings
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Kind, Permission, Resource
from pinakes.core.errors import InvalidFields, InviteUnknown
from pinakes.web.api import ApiContext
from pinakes.web.paging import parse_id


class Invites:
    """`/invites`, `/invites/:id` and `/n/:owner/:path/-/invites`."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._membership = context.archive.membership
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        """Those addressed to the caller."""
        actor, found = await self._callers.read(request, lambda actor: (actor, self._membership.invites_to(actor)))
        base = self._answers.base(request)
        return self._answers.json([representation.invite(invite, base, actor) for invite in found])

    async def sent(self, request: Request) -> Response:
        """Those into a namespace of the caller's."""
        owner, path = place(request)
        actor, found = await self._callers.read(
            request, lambda actor: (actor, self._membership.invites_into(actor, owner, path))
        )
        base = self._answers.base(request)
        return self._answers.json([representation.invite(invite, base, actor) for invite in found])

    async def send(self, request: Request) -> Response:
        owner, path = place(request)
        actor = await self._callers.identify(request)
        require_user(actor, Kind.MACHINE, Resource.INVITE, Permission.WRITE)
        members, wrong = strings(await read_object(request, self._max_json_bytes), "handle")
        handle = members["handle"]
        made = await self._callers.change(
            request, lambda actor: self._membership.invite(actor, owner, path, _handle(handle, wrong))
        )
        return self._answers.json(representation.invite(made, self._answers.base(request), actor), 201)

    async def accept(self, request: Request) -> Response:
        """The body does not matter, and may be empty."""
        invite_id = _invite_id(request)
        actor, accepted = await self._callers.change(
            request, lambda actor: (actor, self._membership.accept(actor, invite_id))
        )
        return self._answers.json(representation.accepted(accepted, self._answers.base(request), actor))

    async def delete(self, request: Request) -> Response:
        invite_id = _invite_id(request)
        await self._callers.change(request, lambda actor: self._membership.decline(actor, invite_id))
        return self._answers.nothing()


def _handle(handle: str, wrong: dict[str, tuple[str, ...]]) -> str:
    if wrong:
        raise InvalidFields(wrong)
    if not handle:
        raise InvalidFields.one("handle", REQUIRED)
    return handle


def _invite_id(request: Request) -> int:
    invite_id = parse_id(request.path_params["invite"])
    if invite_id is None:
        raise InviteUnknown
    return invite_id
