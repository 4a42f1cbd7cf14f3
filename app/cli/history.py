"""`python -m app history`: the chat log as CSV or JSON lines, straight from its database; and its tables."""

import sys
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.chat_log import ChatLogUnavailableError
from app.chat_log.export import csv_head, csv_lines, json_lines
from app.chat_log.filters import Filter, Place
from app.chat_log.place import SQLITE, check, embedded_file
from app.core.errors import ConfigurationError
from app.core.settings import Settings

if TYPE_CHECKING:
    from app.chat_log.store import Store

PAGE = 500
"""Rows that are read at once."""


def moment(text: str) -> datetime:
    """A time or a day as ISO 8601 has it; without a zone it is in UTC. Raises `ArgumentTypeError`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("must be like 2026-11-26 or 2026-11-26T12:00:00+01:00") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def export(settings: Settings, form: str, wanted: Filter, *, tenant: str | None) -> int:
    """Write all that is `wanted`, the latest first, to the standard output; 1 when the database is away.

    `tenant` None: everybody's. Raises `ConfigurationError` when there is no log.
    """
    from app.chat_log.store import Store

    try:
        store = Store(_url(settings))
        try:
            _write(store, form, wanted, tenant)
        finally:
            store.close()
    except ChatLogUnavailableError as error:
        print(f"app: the chat log can't be read ({error.reason})", file=sys.stderr)
        return 1
    return 0


def migrate(settings: Settings) -> int:
    """Make the tables, or bring them to this version's form, as a first API process would; 1 when that can't be done.

    Raises `ConfigurationError` when there is no log.
    """
    from app.chat_log.migration import HEAD
    from app.chat_log.store import Store

    try:
        Store(_url(settings)).close()
    except ChatLogUnavailableError as error:
        print(f"app: the chat log can't be migrated ({error.reason})", file=sys.stderr)
        return 1
    print(f"the chat log's tables are of revision {HEAD}")
    return 0


def _url(settings: Settings) -> str:
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        check(url)
        return url
    file = embedded_file(settings)
    if not file.exists():
        raise ConfigurationError(f"there is no chat log: DATABASE_URL is not set, and {file} is not there")
    return f"{SQLITE}{file}"


def _write(store: "Store", form: str, wanted: Filter, tenant: str | None) -> None:
    if form == "csv":
        sys.stdout.write(csv_head())
    lines = csv_lines if form == "csv" else json_lines
    after = None
    while entries := store.page(tenant, wanted, limit=PAGE, after=after):
        sys.stdout.write(lines(entries))
        after = Place(entries[-1].ended_at, entries[-1].job_id)
