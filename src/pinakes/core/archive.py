"""The assembled core: the one thing an API, the command line or a worker is given."""

from dataclasses import dataclass
from pathlib import Path

from pinakes.core.access.credentials import Credentials
from pinakes.core.access.users import Users
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.machines import Machines
from pinakes.core.clinic.images import ClinicalImages
from pinakes.core.clinic.register import Register
from pinakes.core.clock import Clock, now
from pinakes.core.content.content import Content
from pinakes.core.content.store import ContentStore
from pinakes.core.db.engine import Database
from pinakes.core.namespaces.membership import Membership
from pinakes.core.namespaces.namespaces import Namespaces
from pinakes.core.readtrail import ReadTrail


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything Pinakes can do, by subject."""

    database: Database
    store: ContentStore
    content: Content
    trail: ReadTrail
    users: Users
    credentials: Credentials
    images: Images
    machines: Machines
    clinical_images: ClinicalImages
    register: Register
    namespaces: Namespaces
    membership: Membership
    clock: Clock

    def close(self) -> None:
        """Write what is pending and let go of everything."""
        self.trail.close()
        self.database.close()


def assemble(
    database: Database,
    store: ContentStore,
    *,
    journal_directory: Path,
    clock: Clock = now,
    max_upload_bytes: int | None = None,
    reserve_bytes: int = 0,
) -> Archive:
    """Build the core on an open database and store.

    journal_directory: a local folder for what must survive a killed process until it is in the database.
    """
    content = Content(database, store, clock, max_bytes=max_upload_bytes, reserve_bytes=reserve_bytes)
    trail = ReadTrail(database, journal_directory)
    images = Images(database, content, trail, clock)
    return Archive(
        database=database,
        store=store,
        content=content,
        trail=trail,
        users=Users(database, clock),
        credentials=Credentials(database, trail, clock),
        images=images,
        machines=Machines(database, images, clock),
        clinical_images=ClinicalImages(database, images, clock),
        register=Register(database, images, clock),
        namespaces=Namespaces(database, clock),
        membership=Membership(database, clock),
        clock=clock,
    )
