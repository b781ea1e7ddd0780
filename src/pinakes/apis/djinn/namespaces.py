"""Namespaces and what hangs on them: children, images, collaborators (djinn contract, section 6)."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.djinn import representation
from pinakes.apis.djinn.auth import Callers
from pinakes.apis.djinn.bodies import Answers, page_request, read_object
from pinakes.apis.djinn.images import Images
from pinakes.apis.djinn.representation import strings
from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Kind, Permission, Resource, Visibility
from pinakes.core.errors import InvalidFields
from pinakes.core.namespaces.namespaces import NamespaceChanges, NewNamespace
from pinakes.core.namespaces.records import Namespace
from pinakes.web.api import ApiContext

_PARAMETERS = ("parent", "name", "description", "visibility")


class Namespaces:
    """`/namespaces` and `/n/:owner/:path`, with what is below `/-/` except invites."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers, images: Images) -> None:
        self._namespaces = context.archive.namespaces
        self._membership = context.archive.membership
        self._machines = context.archive.machines
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers
        self._images = images

    async def list(self, request: Request) -> Response:
        page = page_request(request)
        found = await self._callers.read(request, lambda actor: self._namespaces.list(actor, page))
        items = [self._show(request, namespace) for namespace in found.items]
        return self._answers.page(request, items, page, has_next=found.has_next)

    async def create(self, request: Request) -> Response:
        parameters = await self._parameters(request)
        new = NewNamespace(
            parameters["name"],
            parameters["parent"],
            parameters["description"],
            parameters["visibility"] or Visibility.PRIVATE,
        )
        made = await self._callers.change(request, lambda actor: self._namespaces.create(actor, new))
        return self._answers.json(self._show(request, made), 201)

    async def get(self, request: Request) -> Response:
        owner, path = place(request)
        actor, found = await self._callers.glance(
            request, lambda actor: (actor, self._namespaces.get(actor, owner, path))
        )
        is_insider = policy.may_use_namespace(actor, found.facts)
        return self._answers.json(self._show(request, found.namespace, is_insider=is_insider))

    async def update(self, request: Request) -> Response:
        owner, path = place(request)
        changes = NamespaceChanges(**await self._parameters(request))
        made = await self._callers.change(request, lambda actor: self._namespaces.update(actor, owner, path, changes))
        return self._answers.json(self._show(request, made))

    async def delete(self, request: Request) -> Response:
        owner, path = place(request)
        await self._callers.change(request, lambda actor: self._namespaces.delete(actor, owner, path))
        return self._answers.nothing()

    async def children(self, request: Request) -> Response:
        owner, path = place(request)
        page = page_request(request)
        actor, (above, found) = await self._callers.read(
            request, lambda actor: (actor, self._namespaces.children(actor, owner, path, page))
        )
        is_insider = policy.may_use_namespace(actor, above.facts)
        items = [self._show(request, namespace, is_insider=is_insider) for namespace in found.items]
        return self._answers.page(request, items, page, has_next=found.has_next)

    async def images(self, request: Request) -> Response:
        owner, path = place(request)
        page = page_request(request)
        actor, (_, found) = await self._callers.read(
            request, lambda actor: (actor, self._machines.list_in_namespace(actor, owner, path, page))
        )
        return self._images.page(request, actor, found, page)

    async def unmodelled(self, request: Request) -> Response:
        """The lists that clients may look for and that are always empty here."""
        owner, path = place(request)
        await self._callers.glance(request, lambda actor: self._namespaces.get(actor, owner, path))
        return self._answers.json([])

    async def collaborators(self, request: Request) -> Response:
        owner, path = place(request)
        namespace, found = await self._callers.read(
            request, lambda actor: self._membership.collaborators(actor, owner, path)
        )
        base = self._answers.base(request)
        return self._answers.json([representation.collaborator(person, namespace, base) for person in found])

    async def remove_collaborator(self, request: Request) -> Response:
        owner, path = place(request)
        name = request.path_params["username"]
        await self._callers.change(request, lambda actor: self._membership.remove(actor, owner, path, name))
        return self._answers.nothing()

    async def _parameters(self, request: Request) -> dict[str, str]:
        """The members of a body, once the caller is known to be one who may write namespaces at all."""
        actor = await self._callers.identify(request)
        require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.WRITE)
        parameters, wrong = strings(await read_object(request, self._max_json_bytes), *_PARAMETERS)
        if wrong:
            raise InvalidFields(wrong)
        return parameters

    def _show(self, request: Request, namespace: Namespace, *, is_insider: bool = True) -> representation.Json:
        return representation.namespace(namespace, self._answers.base(request), is_insider=is_insider)


def place(request: Request) -> tuple[str, str]:
    """The owner's name and the path that a URL names."""
    return request.path_params["owner"], request.path_params["path"]
