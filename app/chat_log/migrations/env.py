"""What Alembic runs: the revisions, in the transaction of the connection that it is given."""

from alembic import context

from app.chat_log.migration import VERSION_TABLE
from app.chat_log.tables import metadata

ALEMBICS_NAME = "env_py"
"""Of this module, when Alembic runs it."""


def run() -> None:
    """Run the revisions that are wanted."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,  # SQLite changes little of a table that is there
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == ALEMBICS_NAME:
    run()
