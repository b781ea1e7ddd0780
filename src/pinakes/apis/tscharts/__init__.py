"""The tscharts ("Thousand Smiles charts") API: clinical images and the clinic's register."""

from pinakes.apis.tscharts.app import create
from pinakes.web.api import Api

API = Api(name="tscharts", default_path="/tscharts/v1", create=create, has_loose_slashes=True)
