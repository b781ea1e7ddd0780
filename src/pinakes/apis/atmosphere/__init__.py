"""The Atmosphere v2 API: the catalogue of virtual-machine images, as the research cloud's clients ask for it."""

from pinakes.apis.atmosphere.app import create
from pinakes.web.api import Api

API = Api(
    name="atmosphere",
    default_path="",
    create=create,
    has_loose_slashes=True,
    parts=("/api/v2", "/api/v1", "/auth", "/images"),
)
