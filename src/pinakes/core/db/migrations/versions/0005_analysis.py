"""Annotations come in formats other than XML; runs have models, progress, scores and results."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AUTOINCREMENT = {"sqlite_autoincrement": True}


def _tell_formats_of_annotations() -> None:
    """What came before could only be XML."""
    kind = sa.String(64)
    with op.batch_alter_table("annotations", table_kwargs=AUTOINCREMENT) as batch:
        batch.add_column(sa.Column("media_type", kind, server_default="application/xml", nullable=False))
    with op.batch_alter_table("annotations", table_kwargs=AUTOINCREMENT) as batch:
        batch.alter_column("media_type", existing_type=kind, server_default=None)


def _let_runs_tell_how_far_they_are() -> None:
    is_local = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("runs", recreate="always" if is_local else "never", table_kwargs=AUTOINCREMENT) as batch:
        batch.add_column(sa.Column("model", sa.String(201)))
        batch.add_column(sa.Column("error", sa.Text()))
        batch.add_column(sa.Column("tiles_total", sa.Integer()))
        batch.add_column(sa.Column("tiles_done", sa.Integer()))
        batch.add_column(sa.Column("tiles_per_second", sa.Float()))


def _create_scores() -> None:
    op.create_table(
        "run_plans",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tiles", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_plans_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_plans"),
    )
    op.create_table(
        "run_batches",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_batches_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_run_batches"),
    )


def _create_results() -> None:
    op.create_table(
        "run_results",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("annotation_number", sa.Integer(), nullable=False),
        sa.Column("model_name", sa.String(100), nullable=False),
        sa.Column("model_version", sa.String(100), nullable=False),
        sa.Column("model_sha256", sa.String(64)),
        sa.Column("model_digest", sa.String(64)),
        sa.Column("model_kind", sa.String(16), nullable=False),
        sa.Column("input_digest", sa.String(64), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("software_version", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_run_results_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_results_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_results"),
        sa.UniqueConstraint("image_id", "annotation_number", name="uq_run_results_image_id_annotation_number"),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_models_digest"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", "version", name="uq_models_name_version"),
        **AUTOINCREMENT,
    )
    op.create_index("ix_models_digest", "models", ["digest"])
    only_one = sa.text("is_default")
    op.create_index(
        "uq_models_default", "models", ["is_default"], unique=True, sqlite_where=only_one, postgresql_where=only_one
    )


@contextmanager
def _ids_go_on(*names: str) -> Iterator[None]:
    """SQLite makes a table that is changed anew, and would then give the ids of deleted rows once more."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        yield
        return
    sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    given = dict(connection.execute(sa.select(sequence.c.name, sequence.c.seq).where(sequence.c.name.in_(names))).all())
    yield
    for name, last in given.items():
        connection.execute(sa.delete(sequence).where(sequence.c.name == name))
        connection.execute(sa.insert(sequence), {"name": name, "seq": last})


def upgrade() -> None:
    with _ids_go_on("annotations", "runs"):
        _tell_formats_of_annotations()
        _let_runs_tell_how_far_they_are()
    _create_scores()
    _create_results()
    _create_models()
