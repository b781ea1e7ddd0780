"""Every table, on one page.

    users ─┬─ tokens  profiles                 who asks, and with what
           ├─ groups ─ group_members
           ├─ patterns                         names and addresses of people an image may be shared with
           ├─ bookmarks ───────── images
           └─ namespaces ─ collaborators       Djinn's tree; membership belongs to the root
                  └─────── invites
    images ─┬─ versions ─── blobs ··· trash    an image, its contents, and the bytes they point to
            │     ├─ descriptions              what was read from a content: its kind, size, scale, ...
            │     └─ version_memberships       groups that may read the image for the sake of a version
            ├─ grants  group_grants  image_patterns     who else may read one image, until when
            ├─ image_tags ─ tags
            ├─ machine_texts              what a search looks in
            ├─ icons ────── blobs              a small picture to show beside its name
            ├─ clinical_images                 what only the clinic knows of an image
            ├─ djinn_names  downloads          under which name Djinn CI shows it, and from where it is fetched
            └─ slides ─┬─ annotations ─ blobs  what only the laboratory knows of an image
                       ├─ runs ─┬─ run_plans   predictions: what is to be computed,
                       │        ├─ run_batches     the scores so far,
                       │        └─ run_results     and where a result comes from
                       └─ slide_logs           what is told of it; without a foreign key, it outlives the slide
    models ─ blobs                             what predictions can be made with beside what is built in
    jobs ─ job_logs    job_workers             long work, and who is doing it
    secrets                                    what the archive made up once for itself
    clinics  stations  clinicstations  registrations
    patients ─ patient_identifiers
    events                                     the audit trail: no foreign keys, it outlives what it tells of
    login_failures                             for slowing down guesses

Conventions: ids are positive and never reused (AUTOINCREMENT, identity). Columns ending in `_at` are instants
(`core.clock`). Columns ending in `_folded` hold the case-folded twin of another, for comparing beyond ASCII.
"""

import uuid

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from pinakes.core.db.substrings import INDEX_MACHINE_TEXTS

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


def _sorted_text(length: int) -> String:
    """A text that is listed in the order of its characters' numbers, which is SQLite's way, on both databases."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


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
    Column("uid", String(32), nullable=False, unique=True, default=lambda: uuid.uuid4().hex),  # UUID4, hex
)

profiles = _table(
    "profiles",
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("sends_emails", Boolean, nullable=False),
    Column("icon_set", String(32), nullable=False),
)

groups = _table(
    "groups",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    Column("name", String(128), nullable=False),
    Column("name_folded", String(256), nullable=False, unique=True),
    _reference("owner_id", "users.id"),
    Column("created_at", Instant, nullable=False),
    Index(None, "owner_id"),
)

group_members = _table(
    "group_members",
    Column("group_id", Id, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", Instant, nullable=False),
    Index(None, "user_id"),
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
    Column("name", _sorted_text(256), nullable=False),
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
    # All that the list of machine images is ordered, filtered and counted by: it is walked without the table.
    Index("ix_images_listing", "kind", "end_at", "created_at", "id", "visibility", "namespace_id", "author_id"),
    Index(None, "kind", "name", "id"),
    Index(None, "kind", "id"),
)

versions = _table(
    "versions",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    Column("name", String(256), nullable=False),  # "1.0", "1.1", ...
    # Null, all three, until the content has come; once it has, it never changes.
    Column("digest", String(64), ForeignKey("blobs.digest")),
    Column("size_bytes", BigInteger),
    Column("format", String(32)),  # imaging.formats: "jpeg", "qcow2", ..., "unknown"
    Column("etag", String(64)),  # MD5 in hex, for the protocols that promise one
    _reference("author_id", "users.id"),
    Column("created_at", Instant, nullable=False),
    Column("end_at", Instant),
    Column("change_log", Text, nullable=False, default=""),
    _reference("parent_id", "versions.id", nullable=True, ondelete="SET NULL"),
    Column("allows_imaging", Boolean, nullable=False, default=True),
    Column("doc_object_id", String(256)),  # a DOI
    Column("min_cpu", Integer),  # cores
    Column("min_mem_mb", Integer),
    UniqueConstraint("image_id", "name"),
    Index(None, "digest"),
    Index(None, "parent_id"),
)

descriptions = _table(
    "descriptions",
    Column("version_id", Id, ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("state", String(8), nullable=False),  # waiting, ready, failed
    Column("error", Text),  # why it failed, for people
    Column("read_at", Instant),  # null while it waits
    Column("format", String(32)),  # imaging.formats, looked at more closely than the version's own
    Column("width", BigInteger),  # pixels; null, both, for what has none
    Column("height", BigInteger),
    Column("mpp_x", Float),  # micrometres per pixel
    Column("mpp_y", Float),
    Column("frames", Integer),
    Column("captured", String(64)),  # when it was taken, as the file has it: ISO 8601, with an offset or without
    Column("captured_at", Instant),  # the same to compare by; taken as UTC where there is no offset
    Column("levels", Text),  # this and the rest: JSON, as in imaging.source.Description
    Column("associated", Text),
    Column("facts", Text),
    Column("warnings", Text),
    Column("identity", Text),
    Column("pixel_digest", String(64)),  # imaging.pixel_digest; null for what has none
    Column("study", String(64)),  # the same for the pictures of one DICOM study: a digest of its UID
    Index(
        "ix_descriptions_waiting",
        "version_id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(None, "state"),
    Index(None, "format"),
    Index(None, "width"),
    Index(None, "height"),
    Index(None, "captured_at"),
    Index(None, "pixel_digest"),
    Index(None, "study"),
)

tags = _table(
    "tags",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    Column("name", _sorted_text(128), nullable=False),
    Column("name_folded", String(256), nullable=False, unique=True),
    Column("description", String(1024), nullable=False),
    Column("created_at", Instant, nullable=False),
)

image_tags = _table(
    "image_tags",
    _id(),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    _reference("tag_id", "tags.id", ondelete="CASCADE"),
    UniqueConstraint("image_id", "tag_id"),
    Index(None, "tag_id"),
)

machine_texts = _table(
    "machine_texts",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),  # folded: name, description, names and descriptions of tags, one a line
)
for _dialect, _statements in INDEX_MACHINE_TEXTS.items():
    for _statement in _statements:
        _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(machine_texts, "after_create", _ddl.execute_if(dialect=_dialect))

icons = _table(
    "icons",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),  # random, with an ending: what its path ends in
    Column("digest", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "digest"),
)

bookmarks = _table(
    "bookmarks",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    _reference("user_id", "users.id", ondelete="CASCADE"),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("user_id", "image_id"),
    Index(None, "image_id"),
)

# -- Sharing ------------------------------------------------------------------------------------------------------

grants = _table(
    "grants",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("expires_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("position", Integer, nullable=False, default=0),  # the order in which people were added
    Index(None, "user_id"),
)

group_grants = _table(
    "group_grants",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Id, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("expires_at", Instant),
    Column("created_at", Instant, nullable=False),
    Index(None, "group_id"),
)

version_memberships = _table(
    "version_memberships",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    _reference("version_id", "versions.id", ondelete="CASCADE"),
    _reference("group_id", "groups.id", ondelete="CASCADE"),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("version_id", "group_id"),
    Index(None, "group_id"),
)

patterns = _table(
    "patterns",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    _reference("owner_id", "users.id", ondelete="CASCADE"),
    Column("subject", String(8), nullable=False),  # "name", "email": what of a user is compared
    Column("pattern", String(256), nullable=False),  # as given: * stands for any text
    Column("like_folded", String(1024), nullable=False),  # the same, folded, as an SQL pattern with \\ to escape
    Column("allows", Boolean, nullable=False),  # False: those who match get nothing through patterns
    Column("created_at", Instant, nullable=False),
    Index(None, "owner_id"),
)

image_patterns = _table(
    "image_patterns",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("pattern_id", Id, ForeignKey("patterns.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "pattern_id"),
)

# -- Djinn CI -----------------------------------------------------------------------------------------------------

djinn_names = _table(
    "djinn_names",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), nullable=False),
    _reference("version_id", "versions.id", nullable=True),  # the one the name was given to; null until it is fetched
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

downloads = _table(
    "downloads",
    _id(),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    # The version to be filled. Null: the image was made for it, and has its first version when it has been fetched.
    _reference("version_id", "versions.id", nullable=True, ondelete="CASCADE"),
    Column("source", Text, nullable=False),  # the URL, its password replaced
    Column("error", Text),
    Column("job_id", BigInteger),  # of jobs
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    UniqueConstraint("version_id"),
    Index(None, "image_id"),
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

# -- Slides -------------------------------------------------------------------------------------------------------

slides = _table(
    "slides",
    Column("image_id", Id, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("filename", String(255), nullable=False),  # a label, never a path
    Column("patient_ref", String(255)),  # opaque identifiers of the laboratory's own
    Column("entity_ref", String(255)),
    Column("workarea_ref", String(255)),
    Column("study_ref", String(255)),
    Column("location", String(255)),
    Column("status", String(16), nullable=False),  # In Progress, Uploaded, Failed
    Column("tissuearea_status", String(16), nullable=False),  # Pending, Running, Done, Failed, Stopped
    Column("tiling_status", String(16), nullable=False),
    Column("annotation_status", String(16), nullable=False),
    Column("tissue_area_mm2", Float),
    Column("outcome_prediction", Text),  # JSON
    Column("metric", Text),  # JSON
    # Bytes that were sent and not committed yet; a later upload takes their place.
    Column("staged_digest", String(64), ForeignKey("blobs.digest")),
    Column("staged_size_bytes", BigInteger),
    Column("staged_format", String(32)),
    Column("staged_etag", String(64)),
    Index(None, "staged_digest"),
    Index(None, "patient_ref"),
    Index(None, "study_ref"),
)

annotations = _table(
    "annotations",
    _id(),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    Column("number", Integer, nullable=False),  # 1, 2, ... within the image
    Column("source", String(16), nullable=False),  # prediction, user
    _reference("author_id", "users.id", nullable=True),  # null: the archive itself
    Column("digest", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String(64), nullable=False),  # of the bytes
    Column("layers", Text, nullable=False),  # JSON: name, regions and area of each layer
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("image_id", "number"),
    Index(None, "digest"),
)

runs = _table(
    "runs",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    Column("state", String(16), nullable=False),  # queued, running, done, failed, stopped
    Column("job_id", BigInteger),  # of jobs
    Column("starter_id", BigInteger),  # of users
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("model", String(201)),  # "name@version"; null until it begins, if none was asked for
    Column("error", Text),  # why it failed, for people
    Column("tiles_total", Integer),  # to be scored; null until they are known
    Column("tiles_done", Integer),
    Column("tiles_per_second", Float),  # of the last seconds
    Index(None, "image_id", "id"),
    Index(
        "uq_runs_active",
        "image_id",
        unique=True,
        sqlite_where=text("state IN ('queued', 'running')"),
        postgresql_where=text("state IN ('queued', 'running')"),
    ),
)

run_plans = _table(
    "run_plans",
    Column("run_id", Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("plan", Text, nullable=False),  # JSON, see core.analysis.plans
    Column("created_at", Instant, nullable=False),
    Column("tiles", LargeBinary, nullable=False),  # the last: SQLite finds what stands behind it by reading it
)

run_batches = _table(
    "run_batches",
    Column("run_id", Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 0, 1, ... in the order of the tiles
    Column("scores", LargeBinary, nullable=False),  # float32, little-endian, a row for each tile
    Column("created_at", Instant, nullable=False),
)

run_results = _table(
    "run_results",
    Column("run_id", Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    _reference("image_id", "images.id", ondelete="CASCADE"),
    Column("annotation_number", Integer, nullable=False),  # of annotations
    Column("model_name", String(100), nullable=False),
    Column("model_version", String(100), nullable=False),
    Column("model_sha256", String(64)),  # of its weights, hex; null for one without
    Column("model_digest", String(64)),  # of all its files, packed, hex; null for what is built in
    Column("model_kind", String(16), nullable=False),  # classical, onnx, executable
    Column("input_digest", String(64), nullable=False),  # SHA-256 of the slide, hex
    Column("parameters", Text, nullable=False),  # JSON
    Column("software_version", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    UniqueConstraint("image_id", "annotation_number"),
)

models = _table(
    "models",
    _id(),
    Column("name", String(100), nullable=False),
    Column("version", String(100), nullable=False),
    Column("kind", String(16), nullable=False),  # onnx, executable
    Column("sha256", String(64), nullable=False),  # of its weights, hex
    Column("manifest", Text, nullable=False),  # JSON
    Column("digest", String(64), ForeignKey("blobs.digest"), nullable=False),  # of its directory, packed
    Column("size_bytes", BigInteger, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("added_at", Instant, nullable=False),
    UniqueConstraint("name", "version"),
    Index(None, "digest"),
    Index(
        "uq_models_default",
        "is_default",
        unique=True,
        sqlite_where=text("is_default"),
        postgresql_where=text("is_default"),
    ),
)

slide_logs = _table(
    "slide_logs",
    _id(),
    Column("image_id", BigInteger, nullable=False),
    Column("image_uid", String(32), nullable=False),
    Column("type", String(64), nullable=False),
    Column("message", String(2000), nullable=False),
    Column("user_id", BigInteger),  # who caused it; null: the archive itself
    Column("source", String(8), nullable=False),  # server, client
    Column("created_at", Instant, nullable=False),
    Index(None, "image_id", "id"),
    Index(None, "image_uid", "id"),
)

# -- Jobs ---------------------------------------------------------------------------------------------------------

jobs = _table(
    "jobs",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),  # what the job engine knows it by
    Column("kind", String(64), nullable=False),
    Column("user_id", BigInteger),  # whose it is; null: the archive's own
    Column("image_id", BigInteger),
    Column("arguments", Text, nullable=False),  # JSON; emptied when it ends, for it may hold a password
    Column("state", String(16), nullable=False),  # queued, running, done, failed, cancelled
    Column("progress", Float),  # 0 to 1; null while nobody can tell
    Column("error", Text),
    Column("is_handed_over", Boolean, nullable=False),  # the job engine has it
    Column("worker", String(64)),  # who runs it, or did last
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Index(None, "state", "kind", "id"),
    Index(None, "user_id", "state"),
    Index(None, "image_id"),
)

job_logs = _table(
    "job_logs",
    _id(),
    _reference("job_id", "jobs.id", ondelete="CASCADE"),
    Column("message", String(2000), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "job_id", "id"),
)

job_workers = _table(
    "job_workers",
    Column("name", String(64), primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("beat_at", Instant, nullable=False),  # last sign of life
)

secrets = _table(
    "secrets",
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

REFERENCES_OF_IMAGES = (versions.c.digest, icons.c.digest, annotations.c.digest, slides.c.staged_digest)
"""Those of the following that hang on an image; each table also has an `image_id`."""

REFERENCES_TO_BLOBS = (*REFERENCES_OF_IMAGES, models.c.digest)
"""Each value in one of these columns is one reference counted by `blobs.refs`."""

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
