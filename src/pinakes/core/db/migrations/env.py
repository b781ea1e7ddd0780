"""Run by Alembic for each command. The connection, already inside its transaction, comes from `core.db.migrate`."""

from alembic import context

from pinakes.core.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
