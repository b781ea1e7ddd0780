"""What was read from the contents of versions; those there are wait to be read."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_jobs = sa.table(
    "jobs",
    *(sa.column(name) for name in ("uid", "kind", "arguments", "state", "is_handed_over", "attempts", "created_at")),
)


def _create_descriptions() -> None:
    op.create_table(
        "descriptions",
        sa.Column("version_id", ID, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("read_at", sa.BigInteger()),
        sa.Column("format", sa.String(32)),
        sa.Column("width", sa.BigInteger()),
        sa.Column("height", sa.BigInteger()),
        sa.Column("mpp_x", sa.Float()),
        sa.Column("mpp_y", sa.Float()),
        sa.Column("frames", sa.Integer()),
        sa.Column("captured", sa.String(64)),
        sa.Column("captured_at", sa.BigInteger()),
        sa.Column("levels", sa.Text()),
        sa.Column("associated", sa.Text()),
        sa.Column("facts", sa.Text()),
        sa.Column("warnings", sa.Text()),
        sa.Column("identity", sa.Text()),
        sa.Column("pixel_digest", sa.String(64)),
        sa.Column("study", sa.String(64)),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_descriptions_version_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("version_id", name="pk_descriptions"),
    )
    is_waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_descriptions_waiting",
        "descriptions",
        ["version_id"],
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )
    for name in ("state", "format", "width", "height", "captured_at", "pixel_digest", "study"):
        op.create_index(f"ix_descriptions_{name}", "descriptions", [name])


def _ask_for_all() -> None:
    """Every content there is waits to be read, and one job is asked to read them."""
    connection = op.get_bind()
    waiting = sa.text(
        "INSERT INTO descriptions (version_id, state) SELECT id, 'waiting' FROM versions WHERE digest IS NOT NULL"
    )
    if connection.execute(waiting).rowcount:
        newest = sa.select(sa.func.max(sa.column("created_at"))).select_from(sa.table("versions")).scalar_subquery()
        job = {
            "uid": uuid.uuid4().hex,
            "kind": "ingest",
            "arguments": "{}",
            "state": "queued",
            "is_handed_over": False,
            "attempts": 0,
        }
        connection.execute(sa.insert(_jobs).values(created_at=newest, **job))


def _index_slides() -> None:
    """Slides are found by the laboratory's patient and study (`renditions.series`)."""
    op.create_index("ix_slides_patient_ref", "slides", ["patient_ref"])
    op.create_index("ix_slides_study_ref", "slides", ["study_ref"])


def upgrade() -> None:
    _create_descriptions()
    op.create_index("ix_images_kind_id", "images", ["kind", "id"])
    _index_slides()
    _ask_for_all()
