"""What machine images are searched by, and the order in which they are listed."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT_ONCE = 500

_SQLITE = (
    "CREATE VIRTUAL TABLE machine_texts_fts USING fts5("
    "text, content='machine_texts', content_rowid='image_id', tokenize='trigram case_sensitive 1')",
    "CREATE VIRTUAL TABLE machine_texts_grams USING fts5vocab('machine_texts_fts', 'row')",
    "CREATE TRIGGER machine_texts_inserted AFTER INSERT ON machine_texts BEGIN "
    "INSERT INTO machine_texts_fts (rowid, text) VALUES (new.image_id, new.text); END",
    "CREATE TRIGGER machine_texts_deleted AFTER DELETE ON machine_texts BEGIN "
    "INSERT INTO machine_texts_fts (machine_texts_fts, rowid, text) VALUES ('delete', old.image_id, old.text); END",
    "CREATE TRIGGER machine_texts_updated AFTER UPDATE ON machine_texts BEGIN "
    "INSERT INTO machine_texts_fts (machine_texts_fts, rowid, text) VALUES ('delete', old.image_id, old.text); "
    "INSERT INTO machine_texts_fts (rowid, text) VALUES (new.image_id, new.text); END",
)
_POSTGRESQL = (
    """CREATE FUNCTION pinakes_grams(texts text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN length(texts) > 65536 THEN ARRAY['(long)']
    ELSE (SELECT array_agg(DISTINCT gram) FROM (
        SELECT c || coalesce(lead(c) OVER place, '') || coalesce(lead(c, 2) OVER place, '') AS three,
               c || coalesce(lead(c) OVER place, '') AS two, c AS one
        FROM unnest(string_to_array(texts, NULL)) WITH ORDINALITY AS u(c, o) WINDOW place AS (ORDER BY o)
    ) AS t, unnest(ARRAY[one, two, three]) AS gram) END
    $$""",
    "CREATE INDEX ix_machine_texts_grams ON machine_texts USING gin (pinakes_grams(text)) WITH (fastupdate = off)",
)

_images = sa.table("images", *(sa.column(name) for name in ("id", "kind", "name", "description")))
_tags = sa.table("tags", *(sa.column(name) for name in ("id", "name", "description")))
_image_tags = sa.table("image_tags", sa.column("image_id"), sa.column("tag_id"))
_texts = sa.table("machine_texts", sa.column("image_id"), sa.column("text"))


def _create_machine_texts(dialect: str) -> None:
    op.create_table(
        "machine_texts",
        sa.Column("image_id", ID, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_machine_texts_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", name="pk_machine_texts"),
    )
    for statement in _SQLITE if dialect == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _fill_machine_texts() -> None:
    """Of every machine image there is, some hundreds at a time."""
    connection = op.get_bind()
    last_id = 0
    while True:
        found = connection.execute(
            sa.select(_images.c.id, _images.c.name, _images.c.description)
            .where(_images.c.kind == "machine", _images.c.id > last_id)
            .order_by(_images.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not found:
            return
        last_id = found[-1][0]
        lines = defaultdict(list, {row[0]: [row[1], row[2] or ""] for row in found})
        tagged = (
            sa.select(_image_tags.c.image_id, _tags.c.name, _tags.c.description)
            .join(_tags, _tags.c.id == _image_tags.c.tag_id)
            .where(_image_tags.c.image_id.in_(list(lines)))
            .order_by(_tags.c.id)
        )
        for image_id, name, description in connection.execute(tagged):
            lines[image_id] += [name, description]
        rows = [{"image_id": key, "text": "\n".join(texts).casefold() + "\n\n"} for key, texts in lines.items()]
        connection.execute(sa.insert(_texts), rows)


def _sort_names_by_their_characters() -> None:
    """As SQLite does by itself."""
    op.execute('ALTER TABLE images ALTER COLUMN name TYPE VARCHAR(256) COLLATE "C"')
    op.execute('ALTER TABLE tags ALTER COLUMN name TYPE VARCHAR(128) COLLATE "C"')


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        _sort_names_by_their_characters()
    columns = ["kind", "end_at", "created_at", "id", "visibility", "namespace_id", "author_id"]
    op.create_index("ix_images_listing", "images", columns)
    op.create_index("ix_images_kind_name_id", "images", ["kind", "name", "id"])
    _create_machine_texts(dialect)
    _fill_machine_texts()
