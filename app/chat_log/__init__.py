"""The chat log: every ended question as a row of SQLite or PostgreSQL, written from the outbox of ended jobs.

The modules here are imported where DATABASE_URL is set, and SQLAlchemy only once there is something to do: it takes
half a second of CPU, which no start and no answer should wait for.
"""


class ChatLogOffError(Exception):
    """There is no chat log: DATABASE_URL is not set."""


class ChatLogUnavailableError(Exception):
    """The log's database can't be reached, or refuses; what is to be written waits. `reason` names the error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
