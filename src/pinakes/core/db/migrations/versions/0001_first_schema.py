"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite only gives an AUTOINCREMENT row id to a column declared INTEGER; it is 64 bits wide there all the same.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("refs", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
        sa.UniqueConstraint("key", name="uq_blobs_key"),
    )


def _create_clinics() -> None:
    op.create_table(
        "clinics",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("location", sa.String(255), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clinics"),
        sa.UniqueConstraint("location", "start", "end", name="uq_clinics_location_start_end"),
        sqlite_autoincrement=True,
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(64), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("api", sa.String(32), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("token_id", sa.BigInteger(), nullable=True),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("subject", sa.String(64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("uid", name="uq_events_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_actor_id_id", "events", ["actor_id", "id"])
    op.create_index("ix_events_image_id_id", "events", ["image_id", "id"])
    op.create_index("ix_events_patient_id_id", "events", ["patient_id", "id"])


def _create_login_failures() -> None:
    op.create_table(
        "login_failures",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("name_folded", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_failures"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_login_failures_address_at", "login_failures", ["address", "at"])
    op.create_index("ix_login_failures_at", "login_failures", ["at"])


def _create_patients() -> None:
    op.create_table(
        "patients",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("paternal_last", sa.String(255), nullable=False),
        sa.Column("maternal_last", sa.String(255), nullable=False),
        sa.Column("first", sa.String(255), nullable=False),
        sa.Column("middle", sa.String(255), nullable=False),
        sa.Column("paternal_last_folded", sa.String(512), nullable=False),
        sa.Column("maternal_last_folded", sa.String(512), nullable=False),
        sa.Column("first_folded", sa.String(512), nullable=False),
        sa.Column("middle_folded", sa.String(512), nullable=False),
        sa.Column("suffix", sa.String(255), nullable=False),
        sa.Column("prefix", sa.String(255), nullable=False),
        sa.Column("dob", sa.Date(), nullable=False),
        sa.Column("gender", sa.String(6), nullable=False),
        sa.Column("street1", sa.String(255), nullable=False),
        sa.Column("street2", sa.String(255), nullable=False),
        sa.Column("city", sa.String(255), nullable=False),
        sa.Column("colonia", sa.String(255), nullable=False),
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("phone1", sa.String(255), nullable=False),
        sa.Column("phone2", sa.String(255), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("emergencyfullname", sa.String(255), nullable=False),
        sa.Column("emergencyphone", sa.String(255), nullable=False),
        sa.Column("emergencyemail", sa.String(255), nullable=False),
        sa.Column("curp", sa.String(255), nullable=False),
        sa.Column("curp_folded", sa.String(512), nullable=False),
        sa.Column("oldid", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_patients"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_patients_paternal_last_first_dob_gender", "patients", ["paternal_last", "first", "dob", "gender"]
    )


def _create_stations() -> None:
    op.create_table(
        "stations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stations"),
        sa.UniqueConstraint("name", name="uq_stations_name"),
        sqlite_autoincrement=True,
    )


def _create_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("name_folded", sa.String(256), nullable=False),
        sa.Column("description", sa.String(1024), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tags"),
        sa.UniqueConstraint("name_folded", name="uq_tags_name_folded"),
        sa.UniqueConstraint("uid", name="uq_tags_uid"),
        sqlite_autoincrement=True,
    )


def _create_trash() -> None:
    op.create_table(
        "trash",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_trash"),
    )


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("name_folded", sa.String(30), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_folded", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("kinds", sa.String(64), nullable=False),
        sa.Column("is_staff", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_folded", name="uq_users_email_folded"),
        sa.UniqueConstraint("name_folded", name="uq_users_name_folded"),
        sqlite_autoincrement=True,
    )


def _create_clinicstations() -> None:
    op.create_table(
        "clinicstations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("station_id", ID, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("name_es", sa.String(255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_away", sa.Boolean(), nullable=False),
        sa.Column("is_finished", sa.Boolean(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("away_minutes", sa.Integer(), nullable=False),
        sa.Column("will_return_at", sa.BigInteger(), nullable=False),
        sa.Column("active_patient_id", ID, nullable=True),
        sa.Column("next_patient_id", ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_clinicstations"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_clinicstations_clinic_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name="fk_clinicstations_station_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["active_patient_id"], ["patients.id"], name="fk_clinicstations_active_patient_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["next_patient_id"], ["patients.id"], name="fk_clinicstations_next_patient_id", ondelete="SET NULL"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_clinicstations_active_patient_id", "clinicstations", ["active_patient_id"])
    op.create_index("ix_clinicstations_clinic_id_station_id", "clinicstations", ["clinic_id", "station_id"])
    op.create_index("ix_clinicstations_next_patient_id", "clinicstations", ["next_patient_id"])
    op.create_index("ix_clinicstations_station_id", "clinicstations", ["station_id"])


def _create_namespaces() -> None:
    op.create_table(
        "namespaces",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("root_id", ID, nullable=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("visibility", sa.String(8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_namespaces"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_namespaces_owner_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["namespaces.id"], name="fk_namespaces_parent_id"),
        sa.ForeignKeyConstraint(["root_id"], ["namespaces.id"], name="fk_namespaces_root_id"),
        sa.UniqueConstraint("owner_id", "path", name="uq_namespaces_owner_id_path"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_namespaces_parent_id_name", "namespaces", ["parent_id", "name"])
    op.create_index("ix_namespaces_root_id", "namespaces", ["root_id"])


def _create_patient_identifiers() -> None:
    op.create_table(
        "patient_identifiers",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("system", sa.String(64), nullable=False),
        sa.Column("value", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_patient_identifiers"),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patients.id"], name="fk_patient_identifiers_patient_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("system", "value", name="uq_patient_identifiers_system_value"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patient_identifiers_patient_id", "patient_identifiers", ["patient_id"])


def _create_registrations() -> None:
    op.create_table(
        "registrations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("time_in_at", sa.BigInteger(), nullable=False),
        sa.Column("time_out_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(11), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registrations"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_registrations_clinic_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patients.id"], name="fk_registrations_patient_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_registrations_clinic_id_patient_id", "registrations", ["clinic_id", "patient_id"])
    op.create_index("ix_registrations_patient_id", "registrations", ["patient_id"])


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("idle_limit_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])


def _create_collaborators() -> None:
    op.create_table(
        "collaborators",
        sa.Column("root_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("root_id", "user_id", name="pk_collaborators"),
        sa.ForeignKeyConstraint(["root_id"], ["namespaces.id"], name="fk_collaborators_root_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_collaborators_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_collaborators_user_id", "collaborators", ["user_id"])


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("author_id", ID, nullable=False),
        sa.Column("namespace_id", ID, nullable=True),
        sa.Column("visibility", sa.String(8), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_images_author_id"),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name="fk_images_namespace_id"),
        sa.UniqueConstraint("uid", name="uq_images_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_images_author_id_kind", "images", ["author_id", "kind"])
    op.create_index("ix_images_kind_created_at", "images", ["kind", "created_at"])
    op.create_index("ix_images_namespace_id", "images", ["namespace_id"])


def _create_invites() -> None:
    op.create_table(
        "invites",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("namespace_id", ID, nullable=False),
        sa.Column("invitee_id", ID, nullable=False),
        sa.Column("inviter_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespaces.id"], name="fk_invites_namespace_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["invitee_id"], ["users.id"], name="fk_invites_invitee_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["inviter_id"], ["users.id"], name="fk_invites_inviter_id", ondelete="CASCADE"),
        sa.UniqueConstraint("namespace_id", "invitee_id", name="uq_invites_namespace_id_invitee_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_invites_invitee_id", "invites", ["invitee_id"])


def _create_clinical_images() -> None:
    op.create_table(
        "clinical_images",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("clinic_id", ID, nullable=True),
        sa.Column("station_id", ID, nullable=True),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("is_verbatim", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name="pk_clinical_images"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_clinical_images_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_clinical_images_patient_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="fk_clinical_images_clinic_id"),
        sa.ForeignKeyConstraint(["station_id"], ["stations.id"], name="fk_clinical_images_station_id"),
    )
    op.create_index("ix_clinical_images_clinic_id_patient_id", "clinical_images", ["clinic_id", "patient_id"])
    op.create_index(
        "ix_clinical_images_patient_id_type_created_at", "clinical_images", ["patient_id", "type", "created_at"]
    )
    op.create_index("ix_clinical_images_station_id", "clinical_images", ["station_id"])
    op.create_index("ix_clinical_images_type", "clinical_images", ["type"])


def _create_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "user_id", name="pk_grants"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_grants_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_grants_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_grants_user_id", "grants", ["user_id"])


def _create_image_tags() -> None:
    op.create_table(
        "image_tags",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("tag_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "tag_id", name="pk_image_tags"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_tags_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name="fk_image_tags_tag_id", ondelete="CASCADE"),
    )
    op.create_index("ix_image_tags_tag_id", "image_tags", ["tag_id"])


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("author_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_versions_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_versions_digest"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_versions_author_id"),
        sa.UniqueConstraint("image_id", "name", name="uq_versions_image_id_name"),
        sa.UniqueConstraint("uid", name="uq_versions_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_versions_digest", "versions", ["digest"])


def _create_djinn_names() -> None:
    op.create_table(
        "djinn_names",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("author_id", ID, nullable=False),
        sa.Column("namespace_id", ID, nullable=True),
        sa.Column("root_id", ID, nullable=True),
        sa.Column("holder_id", ID, nullable=False),
        sa.Column("is_claimed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name="pk_djinn_names"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_djinn_names_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_djinn_names_version_id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_djinn_names_author_id"),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespaces.id"], name="fk_djinn_names_namespace_id"),
        sa.ForeignKeyConstraint(["root_id"], ["namespaces.id"], name="fk_djinn_names_root_id"),
        sa.ForeignKeyConstraint(["holder_id"], ["users.id"], name="fk_djinn_names_holder_id"),
    )
    op.create_index("ix_djinn_names_holder_id_name_image_id", "djinn_names", ["holder_id", "name", "image_id"])
    op.create_index("ix_djinn_names_namespace_id_name_image_id", "djinn_names", ["namespace_id", "name", "image_id"])
    op.create_index("ix_djinn_names_root_id_name_image_id", "djinn_names", ["root_id", "name", "image_id"])
    op.create_index(
        "uq_djinn_names_inside",
        "djinn_names",
        ["namespace_id", "name"],
        unique=True,
        sqlite_where=sa.text("namespace_id IS NOT NULL"),
        postgresql_where=sa.text("namespace_id IS NOT NULL"),
    )
    op.create_index(
        "uq_djinn_names_outside",
        "djinn_names",
        ["author_id", "name"],
        unique=True,
        sqlite_where=sa.text("namespace_id IS NULL AND is_claimed = 1"),
        postgresql_where=sa.text("namespace_id IS NULL AND is_claimed"),
    )


def upgrade() -> None:
    _create_blobs()
    _create_clinics()
    _create_events()
    _create_login_failures()
    _create_patients()
    _create_stations()
    _create_tags()
    _create_trash()
    _create_users()
    _create_clinicstations()
    _create_namespaces()
    _create_patient_identifiers()
    _create_registrations()
    _create_tokens()
    _create_collaborators()
    _create_images()
    _create_invites()
    _create_clinical_images()
    _create_grants()
    _create_image_tags()
    _create_versions()
    _create_djinn_names()
