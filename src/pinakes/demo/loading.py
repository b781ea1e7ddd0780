"""Loading the demo. Every step looks first whether it was done: a load that was killed is completed by the next."""

import fcntl
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from pinakes import opening
from pinakes.acting import acting_as, operator
from pinakes.config import Settings
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.catalogue.records import Image
from pinakes.core.clinic.records.clinics import NewClinic
from pinakes.core.clinic.records.images import ClinicalType, Filter, NewClinicalImage
from pinakes.core.clinic.records.patients import Gender, PatientDetails, PatientFilter
from pinakes.core.clock import to_datetime
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import AlreadyRegistered, UserExists
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.demo.pictures import photograph, radiograph
from pinakes.demo.qcow2 import write_qcow2
from pinakes.demo.showing import (
    Demonstration,
    Line,
    atmosphere_line,
    djinn_line,
    pathomiq_line,
    tscharts_line,
)
from pinakes.demo.tokens import TokenFile
from pinakes.files import receive

VOLUNTEER, RUNNER, PATHOLOGIST, KEEPER = "volunteer", "runner", "pathologist", "keeper"

_USERS = (
    (VOLUNTEER, {Kind.CLINICAL}, False),
    (RUNNER, {Kind.MACHINE}, False),
    (PATHOLOGIST, {Kind.SLIDE}, False),
    (KEEPER, set(Kind), True),
)
_CLINIC = "Ensenada (demo)"
_CLINIC_DAYS = timedelta(days=3)
_STATIONS = ("X-Ray", "Dental", "Surgery")
_NAMESPACE = "demo"
_DISK = "demo-disk"
_APPLIANCE = "Demo appliance"
_PAGE = 500


def load(settings: Settings) -> Demonstration:
    """Load what is missing of the demo, and tell how to try it. Raises OpeningFailed, DemoUnavailable."""
    folder = settings.data / "demo"
    with opening.opened(settings) as archive, _alone(folder):
        files = _write_files(folder)
        _add_users(archive)
        volunteer, runner, pathologist = (acting_as(archive, name) for name in (VOLUNTEER, RUNNER, PATHOLOGIST))
        photograph_id = _Clinic(archive, volunteer, settings).load(files.photo)
        disk_id = _load_disks(archive, runner, files.disk)
        slide = _load_slide(archive, pathologist, files.slide)
        tokens = TokenFile(folder / "tokens", archive.credentials, archive.clock)
        token_of = {name: tokens.of(operator(), name) for name, _, is_staff in _USERS if not is_staff}

        def digest(actor: Actor, image_id: int) -> str:
            return archive.images.get(actor, image_id).content.digest

        shown: dict[str, Callable[[str], Line]] = {
            "tscharts": lambda path: tscharts_line(
                path, token_of[VOLUNTEER], photograph_id, digest(volunteer, photograph_id)
            ),
            "djinn": lambda path: djinn_line(path, token_of[RUNNER], disk_id, digest(runner, disk_id)),
            "atmosphere": atmosphere_line,
            "pathomiq": lambda path: pathomiq_line(
                path, token_of[PATHOLOGIST], slide.uid, digest(pathologist, slide.id)
            ),
        }
        paths = {api: settings.path_of(api) for api in shown}
        lines = [shown[api](path) for api, path in paths.items() if path is not None]
        return Demonstration(folder, tuple(lines))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One load at a time, also of servers started together."""
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


class _Files(NamedTuple):
    """A photograph, a disk image and a slide, ready to be sent by whoever tries the demo."""

    photo: Path
    disk: Path
    slide: Path


def _write_files(folder: Path) -> _Files:
    files = _Files(folder / "photo.jpg", folder / "demo.qcow2", folder / "slide.png")
    _write(files.photo, lambda path: path.write_bytes(photograph("retina.jpg").read_bytes()))
    _write(files.disk, write_disk)
    _write(files.slide, lambda path: path.write_bytes(photograph("ihc.png").read_bytes()))
    return files


def _write(path: Path, write: Callable[[Path], object]) -> None:
    if not path.exists():
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write(beside)
        beside.replace(path)


def write_disk(path: Path) -> None:
    """A disk of 64 MiB with a partition table, one partition, and a text in it."""
    first, count = 2048, 126_976  # sectors of 512 bytes
    partition = struct.pack("<B3xB3xII", 0x80, 0x83, first, count)
    boot = bytes(446) + partition.ljust(64, b"\0") + b"\x55\xaa"
    write_qcow2(path, {0: boot, first * 512: b"A disk image to try Pinakes with.\n"}, 64 * 1024 * 1024)


def _add_users(archive: Archive) -> None:
    for name, kinds, is_staff in _USERS:
        try:
            archive.users.add(operator(), name, f"{name}@demo.example", None, kinds, is_staff=is_staff)
        except UserExists:
            continue


# -- The clinic ---------------------------------------------------------------------------------------------------


SOMEBODY = PatientDetails(
    paternal_last="Ejemplo",
    maternal_last="Prueba",
    first="Lucía",
    middle="",
    suffix="",
    prefix="",
    dob=date(2015, 3, 14),
    gender=Gender.FEMALE,
    street1="",
    street2="",
    city="Ensenada",
    colonia="",
    state="Baja California",
    phone1="",
    phone2="",
    email="",
    emergencyfullname="",
    emergencyphone="",
    emergencyemail="",
    curp="",
)
_PATIENTS = (
    SOMEBODY,
    replace(SOMEBODY, paternal_last="Muestra", first="Mateo", dob=date(2012, 11, 2), gender=Gender.MALE),
    replace(SOMEBODY, paternal_last="Modelo", first="Sofía", dob=date(2018, 7, 21)),
)


class _Clinic:
    """A clinic with its stations, three invented patients and their pictures."""

    def __init__(self, archive: Archive, actor: Actor, settings: Settings) -> None:
        self._archive = archive
        self._register = archive.register
        self._actor = actor
        self._zone = settings.zone

    def load(self, photo: Path) -> int:
        """Load what is missing; the id of the first patient's photograph."""
        clinic_id = self._clinic()
        stations = {name: self._station(name) for name in _STATIONS}
        patients = [self._patient(details, clinic_id) for details in _PATIENTS]
        xray, surgery = stations["X-Ray"], stations["Surgery"]
        lucia, mateo, sofia = patients
        shown = self._image(photo, NewClinicalImage(lucia, ClinicalType.SURGERY, clinic_id, surgery))
        head = radiograph("J2K_pixelrep_mismatch.dcm")
        self._image(photograph("astronaut.png"), NewClinicalImage(lucia, ClinicalType.HEADSHOT, clinic_id))
        self._image(head, NewClinicalImage(lucia, ClinicalType.XRAY, clinic_id, xray))
        self._image(photograph("camera.png"), NewClinicalImage(mateo, ClinicalType.HEADSHOT, clinic_id))
        self._image(radiograph("CT_small.dcm"), NewClinicalImage(mateo, ClinicalType.XRAY, clinic_id, xray))
        self._image(photograph("rocket.jpg"), NewClinicalImage(sofia, ClinicalType.HEADSHOT))
        return shown

    def _clinic(self) -> int:
        for clinic in self._register.clinics.list(self._actor):
            if clinic.location == _CLINIC:
                return clinic.id
        today = to_datetime(self._archive.clock()).astimezone(self._zone).date()
        return self._register.clinics.create(self._actor, NewClinic(_CLINIC, today, today + _CLINIC_DAYS))

    def _station(self, name: str) -> int:
        for station in self._register.stations.list(self._actor):
            if station.name == name:
                return station.id
        return self._register.stations.create(self._actor, name)

    def _patient(self, details: PatientDetails, clinic_id: int) -> int:
        same = PatientFilter(paternal_last=details.paternal_last, first=details.first, dob=details.dob, is_exact=True)
        known = self._register.patients.search(self._actor, same)
        patient_id = known[0] if known else self._register.patients.create(self._actor, details)
        if not self._register.registrations.search(self._actor, clinic_id, patient_id):
            with suppress(AlreadyRegistered):
                self._register.registrations.create(self._actor, clinic_id, patient_id, self._zone)
        return patient_id

    def _image(self, path: Path, new: NewClinicalImage) -> int:
        images = self._archive.clinical_images
        known = images.search(self._actor, Filter(patient_id=new.patient_id, type=new.type))
        if known:
            return known[0]
        return receive(self._archive.content, path, lambda upload: images.create(self._actor, new, upload))


# -- Disk images --------------------------------------------------------------------------------------------------


def _load_disks(archive: Archive, actor: Actor, disk: Path) -> int:
    """A disk image outside namespaces, one in a namespace, one for the public catalogue; the id of the first."""
    outside = NewMachine(_DISK, _DISK, description="A small disk to try Djinn CI's protocol with.", tags=("demo",))
    inside = NewMachine(_DISK, _DISK, _NAMESPACE, visibility=Visibility.PRIVATE)
    disk_id = _load_disk(archive, actor, disk, outside)
    described = "A small disk that anybody may find and read."
    public = NewMachine(_APPLIANCE, description=described, visibility=Visibility.PUBLIC, tags=("demo",))
    _load_disk(archive, actor, disk, inside)
    _load_disk(archive, actor, disk, public)
    return disk_id


def _load_disk(archive: Archive, actor: Actor, disk: Path, new: NewMachine) -> int:
    for image in _own_images(archive, actor):
        if image.name == new.name and (image.namespace_id is not None) == bool(new.namespace):
            return image.id
    return receive(archive.content, disk, lambda upload: archive.machines.create(actor, new, upload).id)


def _own_images(archive: Archive, actor: Actor) -> Iterator[Image]:
    last = 0
    while page := archive.images.readable(actor, after_id=last, most=_PAGE):
        yield from (image for image in page if image.facts.author_id == actor.user_id)
        last = page[-1].id


# -- A slide ------------------------------------------------------------------------------------------------------


def _load_slide(archive: Archive, actor: Actor, file: Path) -> Slide:
    """A slide of stained tissue; one that was made but not filled is filled now."""
    assert actor.user_id is not None
    known, _ = archive.slides.of_user(actor, actor.user_id)
    own = [slide for slide in known if slide.filename == file.name]
    slide = own[0] if own else archive.slides.create(actor, NewSlide(file.name))
    if not slide.is_uploaded:

        def adopt(upload: Upload) -> int:
            archive.slide_uploads.put(actor, slide, upload)
            return slide.id

        receive(archive.content, file, adopt, further=["md5"])
    return slide
