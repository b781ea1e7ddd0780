"""Clinical images going with the patient, clinic or station they belong to."""

from pinakes.core.actor import Actor
from pinakes.core.catalogue.images import Images
from pinakes.core.clinic.records import images as records
from pinakes.core.clinic.records.images import Filter
from pinakes.core.db.engine import Transaction


def remove_images(transaction: Transaction, images: Images, actor: Actor, found_by: Filter) -> int:
    """Remove every clinical image that matches, whoever may see it, with its bytes; how many there were."""
    count = 0
    for image_id, patient_id in records.matching(transaction, found_by):
        count += images.remove(transaction, actor, image_id, patient_id=patient_id)
    return count
