"""Ended questions.

The types are written out: what this revision has made does not change with `app.chat_log.tables`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "chat_log",
        sa.Column("job_id", sa.String(128), primary_key=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("session_id", sa.String(128)),
        sa.Column("collection", sa.String(128)),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(256)),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_usd", sa.Double),
        sa.Column("mode", sa.String(32)),
        sa.Column("grounded", sa.Boolean),
        sa.Column("cached", sa.String(32)),
        sa.Column("error", sa.String(32)),
        sa.Column("question", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("citations", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),
    )
    op.create_index("ix_chat_log_tenant_ended_at", "chat_log", ["tenant", "ended_at", "job_id"])
    op.create_index("ix_chat_log_tenant_session_id", "chat_log", ["tenant", "session_id"])
    op.create_index("ix_chat_log_ended_at", "chat_log", ["ended_at"])


def downgrade() -> None:
    """Drop it, with all that it holds."""
    op.drop_table("chat_log")
