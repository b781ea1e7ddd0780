"""The IIIF API: looking at pictures with the viewers there are (Image API 3.0, Presentation API 3.0, Deep Zoom)."""

from pinakes.apis.iiif.app import create
from pinakes.web.api import Api

API = Api(name="iiif", default_path="/iiif", create=create)
