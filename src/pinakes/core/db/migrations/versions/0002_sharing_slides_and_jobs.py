"""Sharing, versions with content to come, slides, downloads and jobs."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite only gives an AUTOINCREMENT row id to a column declared INTEGER; it is 64 bits wide there all the same.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AUTOINCREMENT = {"sqlite_autoincrement": True}


def _create_annotations() -> None:
    op.create_table(
        "annotations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("author_id", ID, nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("layers", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_annotations_author_id"),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_annotations_digest"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_annotations_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_annotations"),
        sa.UniqueConstraint("image_id", "number", name="uq_annotations_image_id_number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_annotations_digest", "annotations", ["digest"])


def _create_bookmarks() -> None:
    op.create_table(
        "bookmarks",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_bookmarks_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_bookmarks_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_bookmarks"),
        sa.UniqueConstraint("uid", name="uq_bookmarks_uid"),
        sa.UniqueConstraint("user_id", "image_id", name="uq_bookmarks_user_id_image_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_bookmarks_image_id", "bookmarks", ["image_id"])


def _create_downloads() -> None:
    op.create_table(
        "downloads",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("version_id", ID, nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_downloads_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_downloads_version_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_downloads"),
        sa.UniqueConstraint("version_id", name="uq_downloads_version_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_downloads_image_id", "downloads", ["image_id"])


def _create_group_grants() -> None:
    op.create_table(
        "group_grants",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_group_grants_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_group_grants_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "group_id", name="pk_group_grants"),
    )
    op.create_index("ix_group_grants_group_id", "group_grants", ["group_id"])


def _create_group_members() -> None:
    op.create_table(
        "group_members",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_group_members_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_group_members_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_group_members"),
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"])


def _create_groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("name_folded", sa.String(256), nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_groups_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.UniqueConstraint("name_folded", name="uq_groups_name_folded"),
        sa.UniqueConstraint("uid", name="uq_groups_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_groups_owner_id", "groups", ["owner_id"])


def _create_icons() -> None:
    op.create_table(
        "icons",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_icons_digest"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_icons_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", name="pk_icons"),
        sa.UniqueConstraint("name", name="uq_icons_name"),
    )
    op.create_index("ix_icons_digest", "icons", ["digest"])


def _create_image_patterns() -> None:
    op.create_table(
        "image_patterns",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("pattern_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_patterns_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["pattern_id"], ["patterns.id"], name="fk_image_patterns_pattern_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "pattern_id", name="pk_image_patterns"),
    )
    op.create_index("ix_image_patterns_pattern_id", "image_patterns", ["pattern_id"])


def _create_job_logs() -> None:
    op.create_table(
        "job_logs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("message", sa.String(2000), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_logs_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_job_logs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_logs_job_id_id", "job_logs", ["job_id", "id"])


def _create_job_workers() -> None:
    op.create_table(
        "job_workers",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_job_workers"),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("progress", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("is_handed_over", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.String(64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("uid", name="uq_jobs_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_image_id", "jobs", ["image_id"])
    op.create_index("ix_jobs_state_kind_id", "jobs", ["state", "kind", "id"])
    op.create_index("ix_jobs_user_id_state", "jobs", ["user_id", "state"])


def _create_patterns() -> None:
    op.create_table(
        "patterns",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("subject", sa.String(8), nullable=False),
        sa.Column("pattern", sa.String(256), nullable=False),
        sa.Column("like_folded", sa.String(1024), nullable=False),
        sa.Column("allows", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_patterns_owner_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_patterns"),
        sa.UniqueConstraint("uid", name="uq_patterns_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patterns_owner_id", "patterns", ["owner_id"])


def _create_profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("sends_emails", sa.Boolean(), nullable=False),
        sa.Column("icon_set", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_profiles_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_profiles"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("starter_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_runs_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("uid", name="uq_runs_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_image_id_id", "runs", ["image_id", "id"])
    op.create_index(
        "uq_runs_active",
        "runs",
        ["image_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )


def _create_secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )


def _create_slide_logs() -> None:
    op.create_table(
        "slide_logs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("image_uid", sa.String(32), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("message", sa.String(2000), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_slide_logs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_slide_logs_image_id_id", "slide_logs", ["image_id", "id"])
    op.create_index("ix_slide_logs_image_uid_id", "slide_logs", ["image_uid", "id"])


def _create_slides() -> None:
    op.create_table(
        "slides",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("patient_ref", sa.String(255), nullable=True),
        sa.Column("entity_ref", sa.String(255), nullable=True),
        sa.Column("workarea_ref", sa.String(255), nullable=True),
        sa.Column("study_ref", sa.String(255), nullable=True),
        sa.Column("location", sa.String(255), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("tissuearea_status", sa.String(16), nullable=False),
        sa.Column("tiling_status", sa.String(16), nullable=False),
        sa.Column("annotation_status", sa.String(16), nullable=False),
        sa.Column("tissue_area_mm2", sa.Float(), nullable=True),
        sa.Column("outcome_prediction", sa.Text(), nullable=True),
        sa.Column("metric", sa.Text(), nullable=True),
        sa.Column("staged_digest", sa.String(64), nullable=True),
        sa.Column("staged_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("staged_format", sa.String(32), nullable=True),
        sa.Column("staged_etag", sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_slides_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["staged_digest"], ["blobs.digest"], name="fk_slides_staged_digest"),
        sa.PrimaryKeyConstraint("image_id", name="pk_slides"),
    )
    op.create_index("ix_slides_staged_digest", "slides", ["staged_digest"])


def _create_version_memberships() -> None:
    op.create_table(
        "version_memberships",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name="fk_version_memberships_group_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_version_memberships_version_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_version_memberships"),
        sa.UniqueConstraint("uid", name="uq_version_memberships_uid"),
        sa.UniqueConstraint("version_id", "group_id", name="uq_version_memberships_version_id_group_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_version_memberships_group_id", "version_memberships", ["group_id"])


def _change_djinn_names() -> None:
    with op.batch_alter_table("djinn_names") as batch:
        batch.alter_column("version_id", existing_type=ID, nullable=True)


def _change_grants() -> None:
    with op.batch_alter_table("grants") as batch:
        batch.add_column(sa.Column("position", sa.Integer(), server_default="0", nullable=False))
    with op.batch_alter_table("grants") as batch:
        batch.alter_column("position", existing_type=sa.Integer(), server_default=None)


def _change_image_tags() -> None:
    """Give the rows ids of their own; what a table's key is cannot be changed in place."""
    op.rename_table("image_tags", "image_tags_before")
    op.drop_index("ix_image_tags_tag_id", "image_tags_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE image_tags_before DROP CONSTRAINT pk_image_tags")
    op.create_table(
        "image_tags",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("tag_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_tags_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name="fk_image_tags_tag_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_image_tags"),
        sa.UniqueConstraint("image_id", "tag_id", name="uq_image_tags_image_id_tag_id"),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO image_tags (image_id, tag_id) SELECT image_id, tag_id FROM image_tags_before")
    op.drop_table("image_tags_before")
    op.create_index("ix_image_tags_tag_id", "image_tags", ["tag_id"])


def _change_users() -> None:
    op.add_column("users", sa.Column("uid", sa.String(32), nullable=True))
    users = sa.table("users", sa.column("id", sa.BigInteger), sa.column("uid", sa.String))
    connection = op.get_bind()
    for user_id in connection.execute(sa.select(users.c.id)).scalars().all():
        connection.execute(sa.update(users).where(users.c.id == user_id).values(uid=uuid.uuid4().hex))
    with op.batch_alter_table("users", table_kwargs=AUTOINCREMENT) as batch:
        batch.alter_column("uid", existing_type=sa.String(32), nullable=False)
        batch.create_unique_constraint("uq_users_uid", ["uid"])


def _change_versions() -> None:
    with op.batch_alter_table("versions", table_kwargs=AUTOINCREMENT) as batch:
        batch.add_column(sa.Column("change_log", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("allows_imaging", sa.Boolean(), server_default=sa.true(), nullable=False))
    with op.batch_alter_table("versions", table_kwargs=AUTOINCREMENT) as batch:
        batch.alter_column("change_log", existing_type=sa.Text(), server_default=None)
        batch.alter_column("allows_imaging", existing_type=sa.Boolean(), server_default=None)
        batch.add_column(sa.Column("etag", sa.String(64), nullable=True))
        batch.add_column(sa.Column("parent_id", ID, nullable=True))
        batch.add_column(sa.Column("doc_object_id", sa.String(256), nullable=True))
        batch.add_column(sa.Column("min_cpu", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("min_mem_mb", sa.Integer(), nullable=True))
        batch.alter_column("digest", existing_type=sa.String(64), nullable=True)
        batch.alter_column("size_bytes", existing_type=sa.BigInteger(), nullable=True)
        batch.alter_column("format", existing_type=sa.String(32), nullable=True)
        batch.create_index("ix_versions_parent_id", ["parent_id"])
        batch.create_foreign_key("fk_versions_parent_id", "versions", ["parent_id"], ["id"], ondelete="SET NULL")


def upgrade() -> None:
    _change_users()
    _change_versions()
    _change_image_tags()
    _change_grants()
    _change_djinn_names()
    _create_job_workers()
    _create_jobs()
    _create_secrets()
    _create_slide_logs()
    _create_groups()
    _create_job_logs()
    _create_patterns()
    _create_profiles()
    _create_group_members()
    _create_annotations()
    _create_bookmarks()
    _create_downloads()
    _create_group_grants()
    _create_icons()
    _create_image_patterns()
    _create_runs()
    _create_slides()
    _create_version_memberships()
