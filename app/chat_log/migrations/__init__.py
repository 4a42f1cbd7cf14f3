"""Alembic's revisions of the log's tables. `app.chat_log.migration` runs them; a new one goes to `versions`."""
