"""The routes of tscharts, as one table. Paths are without their final slash: the mount sees to both forms (G2, G3)."""

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.apis.tscharts.endpoint import Endpoints, change, delete, read, search
from pinakes.apis.tscharts.resources.clinics import ClinicResource
from pinakes.apis.tscharts.resources.clinicstations import ClinicStationResource
from pinakes.apis.tscharts.resources.images import ImageResource
from pinakes.apis.tscharts.resources.patients import PatientResource
from pinakes.apis.tscharts.resources.registrations import RegistrationResource
from pinakes.apis.tscharts.resources.session import SessionResource
from pinakes.apis.tscharts.resources.stations import StationResource
from pinakes.web.api import ApiContext
from pinakes.web.jsonbody import respond_json


def create(context: ApiContext) -> ASGIApp:
    """The application."""
    return Router(_routes(context), redirect_slashes=False, default=_not_found)


def _routes(context: ApiContext) -> list[BaseRoute]:
    """None stands for a method that the resource has, but not at this URL: 405."""
    endpoints = Endpoints(context)
    url = endpoints.url
    session = SessionResource(context, endpoints)
    image = ImageResource(context, endpoints)
    clinic = ClinicResource(context)
    station = StationResource(context)
    place = ClinicStationResource(context)
    patient = PatientResource(context)
    visit = RegistrationResource(context)
    # fmt: off
    return [
        url("/login", POST=session.login, is_open=True),
        url("/logout", POST=session.logout, is_open=True),

        url("/image", GET=search(image.search), POST=image.create, DELETE=delete(image.refuse)),
        url("/image/{id}", GET=search(image.get), POST=None, DELETE=delete(image.delete)),

        url("/clinic", GET=search(clinic.search), POST=change(clinic.create), DELETE=delete(clinic.delete)),
        url("/clinic/{id}", GET=read(clinic.get), POST=None, DELETE=delete(clinic.delete)),

        url("/station", GET=search(station.search), POST=change(station.create), PUT=change(station.update),
            DELETE=delete(station.delete)),
        url("/station/{id}", GET=read(station.get), POST=None, PUT=None, DELETE=delete(station.delete)),

        url("/clinicstation", GET=search(place.search), POST=change(place.create), PUT=change(place.refuse),
            DELETE=delete(place.refuse)),
        url("/clinicstation/{id}", GET=read(place.get), POST=None, PUT=change(place.update),
            DELETE=delete(place.delete)),

        url("/patient", GET=search(patient.search), POST=change(patient.create), PUT=change(patient.refuse),
            DELETE=delete(patient.refuse)),
        url("/patient/{id}", GET=read(patient.get), POST=None, PUT=change(patient.update),
            DELETE=delete(patient.delete)),

        url("/register", GET=search(visit.search), POST=change(visit.create), PUT=change(visit.refuse),
            DELETE=delete(visit.refuse)),
        url("/register/{id}", GET=read(visit.get), POST=None, PUT=change(visit.update),
            DELETE=delete(visit.delete)),
    ]
    # fmt: on


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await respond_json({"detail": "There is no such resource."}, 404)(scope, receive, send)
