"""What people said of an answer."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "rating": sa.String(32),
    "comment": sa.Text(),
    "expected": sa.Text(),
    "rated_at": sa.DateTime(timezone=True),
}


def upgrade() -> None:
    """Add the columns, empty."""
    for name, kind in COLUMNS.items():
        op.add_column("chat_log", sa.Column(name, kind))


def downgrade() -> None:
    """Drop them."""
    for name in reversed(COLUMNS):
        op.drop_column("chat_log", name)
