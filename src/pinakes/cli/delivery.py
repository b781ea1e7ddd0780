"""Taking the content of an image out of the archive: checked against its SHA-256, noted in the audit trail."""

from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from pinakes.cli import console

if TYPE_CHECKING:
    from pinakes.core.actor import Actor
    from pinakes.core.archive import Archive
    from pinakes.core.catalogue.records import Image


def deliver(archive: "Archive", actor: "Actor", image: "Image", file: BinaryIO) -> None:
    """Write the content to a file; of a clinical image the trail tells the patient too."""
    from pinakes import files
    from pinakes.core.catalogue import records

    with archive.database.read() as connection:
        patient_id = records.patient_of(connection, image.id)
    with (
        closing(archive.images.open(actor, image.id, image.content, patient_id=patient_id)) as reader,
        console.progress(image.name, reader.size_bytes) as bar,
    ):
        files.deliver(reader, image.content.digest, file, bar.advance)
