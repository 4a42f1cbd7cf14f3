"""Where the log is. Imports no SQLAlchemy: the start asks, which should not wait for it."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.core.errors import ConfigurationError
from app.core.settings import Settings

SQLITE = "sqlite:///"
FILE_NAME = "history.sqlite3"
"""Of the embedded mode's log, in DATA_DIR."""


def embedded(settings: Settings) -> dict[str, Any]:
    """What `python -m app` sets beside what it is given: a log of its own, with content, on this machine."""
    if settings.database_url is not None:
        return {}
    content = settings.chat_log_content is not False
    return {"database_url": SecretStr(f"{SQLITE}{embedded_file(settings)}"), "chat_log_content": content}


def embedded_file(settings: Settings) -> Path:
    """The file of the embedded mode's log."""
    return settings.data_dir.absolute() / FILE_NAME


def sqlite_path(url: str) -> Path | None:
    """The file that `url` names, taken as it is written; None for another database."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def check(url: str) -> None:
    """Raise `ConfigurationError` when the driver of the database at `url` is not installed."""
    if sqlite_path(url) is None and find_spec("psycopg") is None:
        raise ConfigurationError(
            'DATABASE_URL=postgresql://... needs the extra "postgres": `pip install psycopg[binary]`'
        )
