"""The log's rows in the database: written, found, erased. Everything here blocks.

Methods raise `ChatLogUnavailableError` when the database can't be reached, or refuses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Delete, and_, delete, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError

from app.chat_log import ChatLogUnavailableError
from app.chat_log.database import open_database, writing
from app.chat_log.entries import Entry
from app.chat_log.filters import Filter, Place
from app.chat_log.migration import NewerDatabaseError, migrate
from app.chat_log.tables import SAID, chat_log
from app.core.logging import get_logger

DELETED_AT_ONCE = 1_000
"""Rows of one transaction when what is old goes: others write in between."""

T = TypeVar("T")

log = get_logger(__name__)

_REFUSED = (DataError, IntegrityError, OverflowError, ValueError, TypeError)
"""What a database, or its driver, says of a row that it has no place for."""
_WRITTEN = [name for name in (field.name for field in fields(Entry)) if name not in SAID]
_ROW = [chat_log.c[field.name] for field in fields(Entry)]


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is to be erased: all of a tenant's, or a conversation of its, that was asked until `until`."""

    tenant: str
    session_id: str | None
    until: datetime


class Store:
    """Opens the database and brings its tables up to date."""

    def __init__(self, url: str) -> None:
        with _told():
            self._engine = open_database(url)
            try:
                migrate(self._engine)
            except BaseException:
                self._engine.dispose()
                raise
        self._writing = writing(self._engine)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def write(self, entries: Sequence[Entry]) -> None:
        """Write rows, or write them anew; what people have said of an answer stays.

        A row that the database refuses is left out, and the others are written.
        """
        with _told():
            try:
                self._write(entries)
            except (*_REFUSED, StatementError) as error:
                if not _is_refusal(error):
                    raise
                for entry in entries:
                    self._write_alone(entry)

    def say(self, job_id: str, tenant: str, said: Mapping[str, Any]) -> bool:
        """Note what somebody says of an answer (the columns `SAID`); whether the tenant has such a row."""
        mine = and_(chat_log.c.job_id == job_id, chat_log.c.tenant == tenant)
        return self._change(
            lambda connection: connection.execute(update(chat_log).where(mine).values(**said)).rowcount > 0
        )

    def page(self, tenant: str | None, wanted: Filter, *, limit: int, after: Place | None) -> list[Entry]:
        """The rows that are `wanted` after a place, the latest first; `tenant` None: everybody's."""
        rows = select(*_ROW).where(*_conditions(tenant, wanted, after))
        rows = rows.order_by(chat_log.c.ended_at.desc(), chat_log.c.job_id.desc()).limit(limit)
        with _told(), self._engine.connect() as connection:
            return [Entry(**row) for row in connection.execute(rows).mappings()]

    def erase_jobs(self, job_ids: Sequence[str], *, tenant: str | None = None) -> int:
        """Erase the rows of these jobs, if they are the tenant's where one is given; how many there were."""
        which = delete(chat_log).where(chat_log.c.job_id.in_(list(job_ids)))
        return self._erase([which if tenant is None else which.where(chat_log.c.tenant == tenant)])

    def erase(self, erasures: Sequence[Erasure]) -> int:
        """Erase conversations and tenants; how many rows."""
        return self._erase([delete(chat_log).where(*_erased(erasure)) for erasure in erasures])

    def forget_before(self, moment: datetime) -> int:
        """Erase what ended before; how many rows."""
        old = select(chat_log.c.job_id).where(chat_log.c.ended_at < moment).limit(DELETED_AT_ONCE)
        erased = 0
        while now := self._erase([delete(chat_log).where(chat_log.c.job_id.in_(old.scalar_subquery()))]):
            erased += now
        return erased

    def scrub(self) -> bool:
        """Take what was erased out of SQLite's file beside the database, too; False while somebody reads there.

        PostgreSQL's own vacuum does so there, in its time.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        with _told(), self._engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy

    def _write(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        insert = (sqlite if self._engine.dialect.name == "sqlite" else postgresql).insert(chat_log)
        upsert = insert.on_conflict_do_update(
            index_elements=["job_id"], set_={name: insert.excluded[name] for name in _WRITTEN if name != "job_id"}
        )
        rows = [{name: value for name, value in asdict(entry).items() if name not in SAID} for entry in entries]
        with self._writing.begin() as connection:
            connection.execute(upsert, rows)

    def _write_alone(self, entry: Entry) -> None:
        try:
            self._write([entry])
        except (*_REFUSED, StatementError) as error:
            if not _is_refusal(error):
                raise
            log.warning("chat_log_row_refused", job_id=entry.job_id, reason=type(error).__name__)

    def _erase(self, statements: Sequence[Delete]) -> int:
        return self._change(lambda connection: sum(connection.execute(each).rowcount for each in statements))

    def _change(self, act: Callable[[Connection], T]) -> T:
        with _told(), self._writing.begin() as connection:
            return act(connection)


@contextmanager
def _told() -> Iterator[None]:
    """Tell what a database says in our own words, without its."""
    try:
        yield
    except (SQLAlchemyError, NewerDatabaseError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise ChatLogUnavailableError(type(cause).__name__) from None


def _is_refusal(error: Exception) -> bool:
    """Whether it is the row that is wrong: then it is one of `_REFUSED`, or holds one."""
    return isinstance(error, _REFUSED) or isinstance(getattr(error, "orig", None), _REFUSED)


def _conditions(tenant: str | None, wanted: Filter, after: Place | None) -> list[ColumnElement[bool]]:
    c = chat_log.c
    found: list[ColumnElement[bool] | None] = [
        c.tenant == tenant if tenant is not None else None,
        c.session_id == wanted.session_id if wanted.session_id is not None else None,
        c.ended_at >= wanted.since if wanted.since is not None else None,
        c.ended_at < wanted.until if wanted.until is not None else None,
        c.rating == wanted.rating if wanted.rating is not None else None,
        c.grounded.is_(wanted.grounded) if wanted.grounded is not None else None,
        _says(wanted.text) if wanted.text is not None else None,
        tuple_(c.ended_at, c.job_id) < (after.ended_at, after.job_id) if after is not None else None,
    ]
    return [condition for condition in found if condition is not None]


def _says(words: str) -> ColumnElement[bool]:
    texts = (chat_log.c.question, chat_log.c.answer, chat_log.c.comment, chat_log.c.expected)
    return or_(*(column.icontains(words, autoescape=True) for column in texts))


def _erased(erasure: Erasure) -> list[ColumnElement[bool]]:
    c = chat_log.c
    whose = [c.tenant == erasure.tenant, c.enqueued_at <= erasure.until]
    return whose if erasure.session_id is None else [*whose, c.session_id == erasure.session_id]
