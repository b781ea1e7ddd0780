"""Where an image can be looked at: addresses in the IIIF API, which may be mounted elsewhere or nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

from pinakes.web.api import ApiContext
from pinakes.web.origin import Place

_NOWHERE = Place(None)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one image, as absolute URLs. iiif: the picture's own, to which viewers add `/info.json` and the rest."""

    iiif: str
    deep_zoom: str
    manifest: str

    @property
    def info(self) -> str:
        return f"{self.iiif}/info.json"


class Viewers:
    """Tells addresses as the client of a request can reach them."""

    def __init__(self, context: ApiContext) -> None:
        self._origins = context.origins
        self._place = context.places.get("iiif", _NOWHERE)

    def thumbnail(self, request: Request, image_id: int) -> str:
        return f"{self._origins.base_url(request.scope)}/images/{image_id}/thumbnail"

    def associated(
        self, request: Request, image_id: int, names: Sequence[str], version: str | None = None
    ) -> Mapping[str, str]:
        """Of the pictures beside an image, by their names."""
        base = f"{self._origins.base_url(request.scope)}/images/{image_id}/associated"
        query = "" if version is None else f"?version={quote(version, safe='')}"
        return {name: f"{base}/{quote(name, safe='')}{query}" for name in names}

    def addresses(self, request: Request, image_id: int, *, link: str | None = None) -> Addresses | None:
        """None where there is no IIIF API that the client could reach. link: a view link, to go without a header."""
        base = self._origins.neighbour_url(request.scope, self._place)
        if base is None:
            return None
        if link is not None:
            base = f"{base}/view/{link}"
        return Addresses(
            iiif=f"{base}/3/{image_id}",
            deep_zoom=f"{base}/dzi/{image_id}.dzi",
            manifest=f"{base}/presentation/images/{image_id}",
        )
