"""`/image_versions`, and `/provider_machines`, where their contents live (atmosphere contract 8.3, S3)."""

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers
from pinakes.apis.atmosphere.basics import Json, View
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import filters, is_set, key, key_of, read_object
from pinakes.core.actor import Actor
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.version_records import MachineVersion, VersionFilter
from pinakes.core.catalogue.versions import VersionChanges
from pinakes.core.errors import InvalidFields, Unknown, VersionUnknown
from pinakes.core.page import Listed, PageRequest
from pinakes.web.api import ApiContext

Show = Callable[[MachineVersion, View], Json]
Problems = Mapping[str, Sequence[str]]


class Versions:
    """Versions under the visibility of their images, and of their own end."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._versions = context.archive.versions
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._list(request, companions.version, has_content=False)

    async def get(self, request: Request) -> Response:
        return await self._get(request, companions.version, has_content=False)

    async def update(self, request: Request) -> Response:
        """Contract N5. Members that are not to be written are ignored, of whatever type they are."""
        actor = await self._callers.user(request)
        wanted = key_of(request)
        changes, problems = _changes(await read_object(request, self._max_json_bytes))
        made = await self._callers.change_as(actor, lambda actor: self._update(actor, wanted, changes, problems))
        return self._answers.json(companions.version(made, self._answers.view(request, actor)))

    async def machines(self, request: Request) -> Response:
        return await self._list(request, companions.provider_machine, has_content=True)

    async def machine(self, request: Request) -> Response:
        return await self._get(request, companions.provider_machine, has_content=True)

    def _update(self, actor: Actor, wanted: Key, changes: VersionChanges, problems: Problems) -> MachineVersion:
        try:
            return self._versions.update(actor, wanted, changes, problems)
        except InvalidFields as exc:
            raise InvalidFields({_MEMBERS.get(name, name): why for name, why in exc.problems.items()}) from exc

    async def _list(self, request: Request, show: Show, *, has_content: bool) -> Response:
        wanted = _filter(filters(request), has_content=has_content)
        return await self._answers.listing(
            self._callers, request, lambda actor, page: self._find(actor, wanted, page), show
        )

    def _find(self, actor: Actor, wanted: VersionFilter | None, page: PageRequest) -> Listed[MachineVersion]:
        return Listed((), 0) if wanted is None else self._versions.list(actor, wanted, page)

    async def _get(self, request: Request, show: Show, *, has_content: bool) -> Response:
        wanted = key_of(request)
        actor, found = await self._callers.glance(request, lambda actor: (actor, self._versions.get(actor, wanted)))
        if has_content and found.size_bytes is None:
            raise VersionUnknown
        return self._answers.json(show(found, self._answers.view(request, actor)))


_MEMBERS = {"min_mem_mb": "min_mem"}
"""Fields of the core that are called differently here, of those that can be found at fault there."""


def _filter(query: Mapping[str, str], *, has_content: bool) -> VersionFilter | None:
    """What a list is asked for; None for what names nothing, whose list is empty."""
    try:
        return VersionFilter(
            image=key(query["image_id"]) if "image_id" in query else None,
            version=key(query["version_id"]) if has_content and "version_id" in query else None,
            author_name=query.get("created_by"),
            has_content=has_content,
            with_ended=is_set(query, "archived"),
        )
    except Unknown:
        return None


def _changes(members: Mapping[str, object]) -> tuple[VersionChanges, Problems]:
    """What a body wants to be different, and what is wrong with it."""
    read = Members(members)
    changes = VersionChanges(
        name=read.text("name"),
        change_log=read.text_or_blank("change_log"),
        end_at=read.moment("end_date"),
        allows_imaging=read.flag("allow_imaging"),
        doc_object_id=read.free_text("doc_object_id"),
        min_cpu=read.number("min_cpu"),
        min_mem_mb=read.number("min_mem"),
        image=read.key("image"),
    )
    return changes, read.problems
