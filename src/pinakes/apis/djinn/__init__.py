"""The Djinn CI API: virtual-machine images and namespaces, as the CI's clients ask for them."""

from pinakes.apis.djinn.app import create
from pinakes.web.api import Api

API = Api(name="djinn", default_path="/djinn", create=create, collapses_doubled_path=True)
