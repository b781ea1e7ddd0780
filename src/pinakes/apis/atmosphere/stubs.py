"""What the web interface asks for before it draws anything (atmosphere contract, section 9).

Most of it is about running machines, of which there are none here: those collections are empty.
"""

from starlette.requests import Request
from starlette.responses import Response

from pinakes import __version__
from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers, require_login
from pinakes.apis.atmosphere.basics import Json
from pinakes.apis.atmosphere.requests import key_of, page_request
from pinakes.core.actor import Actor
from pinakes.core.catalogue.metrics import ImageMetrics
from pinakes.core.errors import Unknown
from pinakes.core.page import Listed
from pinakes.web.api import ApiContext

EMPTY_COLLECTIONS = (
    "providers",
    "identities",
    "projects",
    "project_images",
    "instances",
    "volumes",
    "groups",
    "machine_requests",
    "allocation_sources",
    "image_version_licenses",
    "image_version_boot_scripts",
)
"""Contract S4."""

HELP_TOPICS = {
    "default": "Pinakes",
    "faq": "Frequently asked questions",
    "instances": "Instances",
    "request-image": "Adding an image to the catalogue",
    "volumes": "Volumes",
}
"""What clients look for among the help links (contract S2). All of them lead to the archive's own front page."""


class Stubs:
    """Contract S1, S2, S4 to S6. `/provider_machines` (S3) is with the versions."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._metrics = context.archive.metrics
        self._callers = callers
        self._answers = answers

    async def metrics(self, request: Request) -> Response:
        """For anyone, so that the search page comes up; filled for staff only."""
        return await self._answers.listing(
            self._callers, request, self._metrics.list, lambda image, view: companions.image_metrics(image, view.base)
        )

    async def metrics_of_image(self, request: Request) -> Response:
        def find(actor: Actor) -> ImageMetrics:
            return self._metrics.get(require_login(actor), key_of(request))

        found = await self._callers.glance(request, find)
        return self._answers.json(companions.image_metrics(found, self._answers.base(request)))

    async def help_links(self, request: Request) -> Response:
        page = page_request(request)
        first = page.window(len(HELP_TOPICS))["page_offset"]
        shown = [self._help_link(request, name) for name in HELP_TOPICS][first : first + page.size]
        found = Listed(tuple(shown), len(HELP_TOPICS))
        return self._answers.collection(request, page, found, lambda link: link)

    async def empty(self, request: Request) -> Response:
        await self._callers.user(request)
        nothing: Listed[Json] = Listed((), 0)
        return self._answers.collection(request, page_request(request), nothing, lambda item: item)

    async def provider(self, request: Request) -> Response:
        """The one place where contents live, which machines refer to."""
        if key_of(request) not in (companions.PROVIDER_ID, companions.PROVIDER_UID):
            raise Unknown
        return self._answers.json(companions.provider(self._answers.base(request)))

    async def maintenance(self, request: Request) -> Response:  # noqa: ARG002
        return self._answers.json([])

    async def version(self, request: Request) -> Response:  # noqa: ARG002
        return self._answers.json({"name": "Pinakes", "version": __version__, "api": "v2"})

    def _help_link(self, request: Request, name: str) -> Json:
        return {
            "link_key": name,
            "topic": HELP_TOPICS[name],
            "context": "",
            "href": f"{self._answers.base(request)}/",
        }
