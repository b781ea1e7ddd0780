"""Small things of a clinic, made valid; and many calls at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.clinic.records.clinics import NewClinic
from pinakes.core.clinic.records.images import ClinicalType, NewClinicalImage
from pinakes.core.clinic.records.patients import Gender, PatientDetails
from pinakes.core.errors import PinakesError

ROUNDS = ("Tijuana", "Ensenada", "Tecate", "Mexicali", "Rosarito")
"""Names to race for: the first round also opens the connections, so that the next ones are close."""

_DETAILS: dict[str, Any] = {
    "paternal_last": "Quintero",
    "maternal_last": "Salas",
    "first": "Inés",
    "middle": "",
    "suffix": "",
    "prefix": "",
    "dob": date(2011, 3, 9),
    "gender": Gender.FEMALE,
    "street1": "",
    "street2": "",
    "city": "",
    "colonia": "",
    "state": "Sonora",
    "phone1": "",
    "phone2": "",
    "email": "",
    "emergencyfullname": "",
    "emergencyphone": "",
    "emergencyemail": "",
    "curp": "QUSI110309",
}


def patient_details(**changes: Any) -> PatientDetails:
    return PatientDetails(**_DETAILS | changes)


def make_clinic(archive: Archive, actor: Actor, location: str = "Tijuana") -> int:
    return archive.register.clinics.create(actor, NewClinic(location, date(2026, 2, 5), date(2026, 2, 8)))


def make_patient(archive: Archive, actor: Actor, **changes: Any) -> int:
    return archive.register.patients.create(actor, patient_details(**changes))


def make_image(
    archive: Archive,
    actor: Actor,
    patient_id: int,
    *,
    clinic_id: int | None = None,
    station_id: int | None = None,
    type: ClinicalType = ClinicalType.XRAY,
    content: bytes = b"\xff\xd8\xff a photograph",
) -> int:
    with archive.content.receive() as upload:
        upload.write(content)
        upload.finish()
        return archive.clinical_images.create(actor, NewClinicalImage(patient_id, type, clinic_id, station_id), upload)


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make the calls at the same moment; what each returned, or the archive's error it met."""
    barrier = Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except PinakesError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def stored_objects(archive: Archive) -> int:
    """How many objects the content store holds."""
    return sum(1 for _ in archive.store.list())
