"""Clinical images: an image of the catalogue, and the patient, clinic, station and type that only the clinic knows."""

from pinakes.core.access import policy
from pinakes.core.actor import Actor, Kind, Permission
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import images as records
from pinakes.core.clinic.records import references
from pinakes.core.clinic.records.images import ClinicalImage, Filter, NewClinicalImage, Order
from pinakes.core.clock import Clock
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import BlobUnknown, ImageUnknown


class ClinicalImages:
    """Operations on images of patients. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def create(self, actor: Actor, new: NewClinicalImage, upload: Upload) -> int:
        """Catalogue a finished upload as an image of a patient; its id.

        Raises PatientUnknown, ClinicUnknown, StationUnknown.
        """
        author_id = require(actor, Permission.WRITE)
        entry = NewImage(Kind.CLINICAL, new.type.value, author_id)
        with self._database.write() as transaction:
            _hold_references(transaction, new)
            image_id, _ = self._images.ingest(transaction, actor, entry, upload, patient_id=new.patient_id)
            records.add(transaction, image_id, new, self._clock())
        return image_id

    def get(self, actor: Actor, image_id: int) -> ClinicalImage:
        """Raises ImageUnknown."""
        require(actor, Permission.READ)
        return self._find(actor, image_id)

    def search(self, actor: Actor, found_by: Filter, order: Order = Order.OLDEST_FIRST) -> list[int]:
        """The ids of all images that match; none for a patient, clinic or station that does not exist."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            return records.search(connection, actor, self._clock(), found_by, order)

    def newest(self, actor: Actor, found_by: Filter) -> ClinicalImage:
        """The newest image that matches. Raises ImageUnknown if none does."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            image = records.newest(connection, actor, self._clock(), found_by)
        if image is None:
            raise ImageUnknown
        return image

    def open(self, actor: Actor, image: ClinicalImage) -> Reader:
        """Open the content of an image that `get` or `newest` has just given to the same actor.

        The read goes into the trail with its patient. Raises ImageUnknown if the image was deleted meanwhile,
        BlobUnknown, StoreUnavailable.
        """
        try:
            return self._images.open(actor, image.id, image.version, patient_id=image.patient_id)
        except BlobUnknown:
            self._find(actor, image.id)  # gone since: then so says the answer
            raise

    def delete(self, actor: Actor, image_id: int) -> None:
        """Remove an image and its bytes. Of several at once exactly one succeeds. Raises ImageUnknown."""
        require(actor, Permission.DELETE)
        image = self._find(actor, image_id)
        with self._database.write() as transaction:
            if not self._images.remove(transaction, actor, image_id, patient_id=image.patient_id):
                raise ImageUnknown

    def _find(self, actor: Actor, image_id: int) -> ClinicalImage:
        with self._database.read() as connection:
            image = records.find(connection, image_id)
        if image is None or not policy.may_read(actor, image.facts, self._clock()):
            raise ImageUnknown
        return image


def _hold_references(transaction: Transaction, new: NewClinicalImage) -> None:
    references.hold(transaction, schema.patients, new.patient_id)
    references.hold(transaction, schema.clinics, new.clinic_id)
    references.hold(transaction, schema.stations, new.station_id)
