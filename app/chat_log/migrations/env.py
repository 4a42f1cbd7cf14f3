"""What Alembic runs: the revisions, in the transaction of the connection that it is given."""

from alembic import context

from app.chat_log.migration import VERSION_TABLE
from app.chat_log.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes little of a table that is there
)
with context.begin_transaction():
    context.run_migrations()
