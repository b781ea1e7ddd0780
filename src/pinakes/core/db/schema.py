"""Every table, on one page.

    users ─┬─ tokens                           who asks, and with what
           ├─ grants ──────────── images       who else may read one image, until when
           └─ namespaces ─ collaborators       Djinn's tree; membership belongs to the root
                  └─────── invites
    images ─┬─ versions ─── blobs ··· trash    an image, its contents, and the bytes they point to
            ├─ image_tags ─ tags
            ├─ clinical_images                 what only the clinic knows of an image
            └─ djinn_names                     under which name Djinn CI shows it
    clinics  stations  clinicstations  registrations
    patients ─ patient_identifiers
    events                                     the audit trail: no foreign keys, it outlives what it tells of
    login_failures                             for slowing down guesses

Conventions: ids are positive and never reused (AUTOINCREMENT, identity). Columns ending in `_at` are instants
(`core.clock`). Columns ending in `_folded` hold the case-folded twin of another, for comparing beyond ASCII.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only gives an AUTOINCREMENT row id to a column declared INTEGER; it is 64 bits wide there all the same.
Id = BigInteger().with_variant(Integer, "sqlite")
Instant = BigInteger


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _reference(name: str, target: str, *, nullable: bool = False, ondelete: str | None = None) -> Column[int]:
    return Column(name, Id, ForeignKey(target, ondelete=ondelete), nullable=nullable)


def _table(name: str, *parts: Column[int] | Column[str] | Column[bool] | Index | UniqueConstraint | object) -> Table:
    return Table(name, metadata, *parts, sqlite_autoincrement=any(_is_id(part) for part in parts))  # type: ignore[arg-type]


def _is_id(part: object) -> bool:
    return isinstance(part, Column) and part.name == "id"


# -- Access -------------------------------------------------------------------------------------------------------

users = _table(
    "users",
    _id(),
    Column("name", String(30), nullable=False),
    Column("name_folded", String(30), nullable=False, unique=True),
    Column("email", String(254), nullable=False),
    Column("email_folded", String(254), nullable=False, unique=True),
    Column("password_hash", Text),  # null: no login by password
    Column("kinds", String(64), nullable=False),  # "clinical,machine,slide", in that order
    Column("is_staff", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

tokens = _table(
    "tokens",
    _id(),
    _reference("user_id", "users.id", ondelete="CASCADE"),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token, hex
    Column("name", String(128), nullable=False),
    Column("origin", String(32), nullable=False),  # "made", "login:tscharts", ...
    Column("scope", Text),  # null: no limit
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),  # to the hour
    Column("expires_at", Instant),
    Column("idle_limit_us", BigInteger),  # microseconds without use after which it expires
    Index(None, "user_id"),
)

login_failures = _table(
    "login_failures",
    _id(),
    Column("address", String(64), nullable=False),
    Column("name_folded", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "address", "at"),
    Index(None, "at"),
)

# -- Namespaces ---------------------------------------------------------------------------------------------------

namespaces = _table(
    "namespaces",
    _id(),
    _reference("owner_id", "users.id"),
    _reference("parent_id", "namespaces.id", nullable=True),
    _reference("root_id", "namespaces.id", nullable=True),  # its own id for a root; null only while being made
    Column("name", String(255), nullable=False),
    Column("path", Text, nullable=False),
    Column("description", String(255), nullable=False),
    Column("visibility", String(8), nullable=False),  # private, internal, public; always its root's
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("owner_id", "path"),
    Index(None, "root_id"),
    Index(None, "parent_id", "name"),
)

collaborators = _table(
    "collaborators",
    Column("root_id", Id, ForeignKey("namespaces.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", Instant, nullable=False),
    Index(None, "user_id"),
)

invites = _table(
    "invites",
    _id(),
    _reference("namespace_id", "namespaces.id", ondelete="CASCADE"),  # always a root
    _reference("invitee_id", "users.id", ondelete="CASCADE"),
    _reference("inviter_id", "users.id", ondelete="CASCADE"),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("namespace_id", "invitee_id"),
    Index(None, "invitee_id"),
)

# -- Content ------------------------------------------------------------------------------------------------------

blobs = _table(
    "blobs",
    Column("digest", String(64), primary_key=True),  # SHA-256, hex
    Column("key", String(64), nullable=False, unique=True),  # where the bytes are; never used again
    Column("size_bytes", BigInteger, nullable=False),
    Column("refs", Integer, nullable=False),  # how many versions refer to it
    Column("created_at", Instant, nullable=False),
)

trash = _table(
    "trash",
    Column("key", String(64), primary_key=True),  # to be deleted from the store, then from here
    Column("noted_at", Instant, nullable=False),
)

# -- Catalogue ----------------------------------------------------------------------------------------------------

images = _table(
    "images",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),  # UUID4, hex
    Column("kind", String(8), nullable=False),  # clinical, machine, slide
    Column("name", String(256), nullable=False),
    Column("description", Text),
    _reference("author_id", "users.id"),
    _reference("namespace_id", "namespaces.id", nullable=True),
    Column("visibility", String(8), nullable=False),  # its own; in a namespace the root's counts
    Column("end_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("modified_at", Instant, nullable=False),
    Index(None, "author_id", "kind"),
    Index(None, "namespace_id"),
    Index(None, "kind", "created_at"),
)

versions = _table(
    "versions",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    Column("name", String(256), nullable=False),  # "1.0", "1.1", ...
    Column("digest", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("format", String(32), nullable=False),  # imaging.formats: "jpeg", "qcow2", ..., "unknown"
    _reference("author_id", "users.id"),
    Column("created_at", Instant, nullable=False),
    Column("end_at", Instant),
    UniqueConstraint("image_id", "name"),
    Index(None, "digest"),
)

tags = _table(
    "tags",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    Column("name", String(128), nullable=False),
    Column("name_folded", String(256), nullable=False, unique=True),
    Column("description", String(1024), nullable=False),
    Column("created_at", Instant, nullable=False),
)

image_tags = _table(
    "image_tags",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", Id, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "tag_id"),
)

grants = _table(
    "grants",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("expires_at", Instant),
    Column("created_at", Instant, nullable=False),
    Index(None, "user_id"),
)

djinn_names = _table(
    "djinn_names",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), nullable=False),
    _reference("version_id", "versions.id"),  # the version the name was given to
    _reference("author_id", "users.id"),
    _reference("namespace_id", "namespaces.id", nullable=True),
    _reference("root_id", "namespaces.id", nullable=True),
    _reference("holder_id", "users.id"),  # the namespace's owner inside one, else the author
    # False after its namespace was deleted while the name was taken outside: shown under the name, not holding it.
    Column("is_claimed", Boolean, nullable=False),
    Index(None, "holder_id", "name", "image_id"),
    Index(None, "root_id", "name", "image_id"),
    Index(None, "namespace_id", "name", "image_id"),
    Index(
        "uq_djinn_names_outside",
        "author_id",
        "name",
        unique=True,
        sqlite_where=text("namespace_id IS NULL AND is_claimed = 1"),
        postgresql_where=text("namespace_id IS NULL AND is_claimed"),
    ),
    Index(
        "uq_djinn_names_inside",
        "namespace_id",
        "name",
        unique=True,
        sqlite_where=text("namespace_id IS NOT NULL"),
        postgresql_where=text("namespace_id IS NOT NULL"),
    ),
)

# -- Clinic -------------------------------------------------------------------------------------------------------

clinics = _table(
    "clinics",
    _id(),
    Column("location", String(255), nullable=False),
    Column("start", Date, nullable=False),
    Column("end", Date, nullable=False),
    UniqueConstraint("location", "start", "end"),
)

stations = _table(
    "stations",
    _id(),
    Column("name", String(255), nullable=False, unique=True),
    Column("level", Integer, nullable=False),
)

patients = _table(
    "patients",
    _id(),
    Column("paternal_last", String(255), nullable=False),
    Column("maternal_last", String(255), nullable=False),
    Column("first", String(255), nullable=False),
    Column("middle", String(255), nullable=False),
    Column("paternal_last_folded", String(512), nullable=False),
    Column("maternal_last_folded", String(512), nullable=False),
    Column("first_folded", String(512), nullable=False),
    Column("middle_folded", String(512), nullable=False),
    Column("suffix", String(255), nullable=False),
    Column("prefix", String(255), nullable=False),
    Column("dob", Date, nullable=False),
    Column("gender", String(6), nullable=False),
    Column("street1", String(255), nullable=False),
    Column("street2", String(255), nullable=False),
    Column("city", String(255), nullable=False),
    Column("colonia", String(255), nullable=False),
    Column("state", String(64), nullable=False),
    Column("phone1", String(255), nullable=False),
    Column("phone2", String(255), nullable=False),
    Column("email", String(255), nullable=False),
    Column("emergencyfullname", String(255), nullable=False),
    Column("emergencyphone", String(255), nullable=False),
    Column("emergencyemail", String(255), nullable=False),
    Column("curp", String(255), nullable=False),
    Column("curp_folded", String(512), nullable=False),
    Column("oldid", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "paternal_last", "first", "dob", "gender"),
)

patient_identifiers = _table(
    "patient_identifiers",
    _id(),
    _reference("patient_id", "patients.id", ondelete="CASCADE"),
    Column("system", String(64), nullable=False),
    Column("value", String(255), nullable=False),
    UniqueConstraint("system", "value"),
    Index(None, "patient_id"),
)

clinicstations = _table(
    "clinicstations",
    _id(),
    _reference("clinic_id", "clinics.id", ondelete="CASCADE"),
    _reference("station_id", "stations.id", ondelete="CASCADE"),
    Column("name", String(255), nullable=False),
    Column("name_es", String(255), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("is_away", Boolean, nullable=False),
    Column("is_finished", Boolean, nullable=False),
    Column("level", Integer, nullable=False),
    Column("away_minutes", Integer, nullable=False),
    Column("will_return_at", Instant, nullable=False),
    _reference("active_patient_id", "patients.id", nullable=True, ondelete="SET NULL"),
    _reference("next_patient_id", "patients.id", nullable=True, ondelete="SET NULL"),
    Index(None, "clinic_id", "station_id"),
    Index(None, "station_id"),
    Index(None, "active_patient_id"),
    Index(None, "next_patient_id"),
)

registrations = _table(
    "registrations",
    _id(),
    _reference("clinic_id", "clinics.id", ondelete="CASCADE"),
    _reference("patient_id", "patients.id", ondelete="CASCADE"),
    Column("time_in_at", Instant, nullable=False),
    Column("time_out_at", Instant, nullable=False),
    Column("state", String(11), nullable=False),  # "Checked In", "Checked Out"
    Index(None, "clinic_id", "patient_id"),
    Index(None, "patient_id"),
)

clinical_images = _table(
    "clinical_images",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    _reference("patient_id", "patients.id"),
    _reference("clinic_id", "clinics.id", nullable=True),
    _reference("station_id", "stations.id", nullable=True),
    Column("type", String(16), nullable=False),  # Xray, Headshot, Audiogram, Surgery
    # True: the stored bytes are the client's text itself, in UTF-8. False: the text was canonical base64 of them.
    Column("is_verbatim", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "patient_id", "type", "created_at"),
    Index(None, "clinic_id", "patient_id"),
    Index(None, "station_id"),
    Index(None, "type"),
)

# -- Audit --------------------------------------------------------------------------------------------------------

events = _table(
    "events",
    _id(),
    Column("uid", String(64), unique=True),  # set on batched events, so that a batch taken twice counts once
    Column("at", Instant, nullable=False),
    Column("action", String(64), nullable=False),  # core.audit.Action
    Column("api", String(32), nullable=False),  # through which entrance
    Column("actor_id", BigInteger),  # null: nobody known, or the archive itself
    Column("token_id", BigInteger),
    Column("image_id", BigInteger),
    Column("patient_id", BigInteger),
    Column("subject", String(64)),  # "clinic:5", "user:7", ...: what else it is about
    Column("detail", Text),  # JSON; ids and counts, never content, names of people or secrets
    Index(None, "image_id", "id"),
    Index(None, "patient_id", "id"),
    Index(None, "actor_id", "id"),
)
