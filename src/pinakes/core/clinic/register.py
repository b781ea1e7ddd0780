"""The clinic's register: who is treated where and when. One object with its six subjects."""

from pinakes.core.catalogue.images import Images
from pinakes.core.clinic.clinics import Clinics
from pinakes.core.clinic.clinicstations import ClinicStations
from pinakes.core.clinic.identifiers import Identifiers
from pinakes.core.clinic.patients import Patients
from pinakes.core.clinic.registrations import Registrations
from pinakes.core.clinic.stations import Stations
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database


class Register:
    """Clinics, stations, clinic stations, patients with their identifiers, and registrations."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self.clinics = Clinics(database, images, clock)
        self.stations = Stations(database, images, clock)
        self.clinicstations = ClinicStations(database, clock)
        self.patients = Patients(database, images, clock)
        self.identifiers = Identifiers(database, clock)
        self.registrations = Registrations(database, clock)
