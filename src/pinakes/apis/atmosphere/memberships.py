"""`/image_version_memberships`: groups that may read an image for a version's sake (atmosphere contract B2, V8)."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers, require_login
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import filters, key, key_of, read_object
from pinakes.core.actor import Actor
from pinakes.core.catalogue.changes import Unchanged
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.memberships import Membership
from pinakes.core.errors import Unknown
from pinakes.core.page import Listed, PageRequest
from pinakes.web.api import ApiContext


class Memberships:
    """Memberships of the versions of the caller's own images; of all for staff."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._memberships = context.archive.memberships
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        def find(actor: Actor, page: PageRequest) -> Listed[Membership]:
            try:
                version = _version(filters(request))
            except Unknown:
                return Listed((), 0)
            return self._memberships.list(actor, version, page)

        return await self._answers.listing(
            self._callers,
            request,
            find,
            lambda membership, view: companions.membership(membership, view.base),
            needs_login=True,
        )

    async def get(self, request: Request) -> Response:
        found = await self._callers.glance(
            request, lambda actor: self._memberships.get(require_login(actor), key_of(request))
        )
        return self._show(request, found)

    async def create(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        version, group = _parts(Members(await read_object(request, self._max_json_bytes)))
        made = await self._callers.change_as(actor, lambda actor: self._memberships.create(actor, version, group))
        return self._show(request, made, 201)

    async def delete(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        await self._callers.change_as(actor, lambda actor: self._memberships.delete(actor, wanted))
        return self._answers.nothing()

    def _show(self, request: Request, membership: Membership, status: int = 200) -> Response:
        return self._answers.json(companions.membership(membership, self._answers.base(request)), status)


def _version(query: Mapping[str, str]) -> Key | None:
    """Of which version a list is asked for. Raises Unknown for what names none."""
    return key(query["version_id"]) if "version_id" in query else None


def _parts(members: Members) -> tuple[Key, Key]:
    """A version, and a group by id, uuid or name. Raises InvalidFields."""
    version = members.key("image_version", is_required=True)
    group = members.key_or_name("group", is_required=True)
    members.check()
    assert not isinstance(version, Unchanged)
    assert not isinstance(group, Unchanged)
    return version, group
