"""What Valkey knows beside the index, where one answers: the catalog, and what is said of collections."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from app.core.contract import is_label
from app.core.documents.catalog import Catalog
from app.core.documents.collections import NOTHING_SAID, CollectionSettings, collections_key, settings_of
from app.core.documents.records import DocumentStatus
from app.core.documents.scripts import SAID_BYTES_MAX
from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE, connect
from app.core.services import redis_url
from app.core.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

log = get_logger(__name__)


@dataclass(slots=True)
class Known:
    """Of one tenant: when its documents came, in their order, by id; and how many of them are not indexed."""

    created_at: dict[str, datetime] = field(default_factory=dict)
    not_indexed: int = 0


@contextmanager
def valkey(settings: Settings) -> Iterator["Redis | None"]:
    """A Valkey that answers; None where there is none."""
    try:
        address = redis_url(settings)
    except ConfigurationError:
        yield None
        return
    with closing(connect(address)) as connection:
        try:
            connection.ping()
        except VALKEY_UNAVAILABLE as error:
            log.warning("valkey_unavailable", during="move", reason=type(error).__name__)
            yield None
        else:
            yield connection


def known_of(connection: "Redis", tenant: str) -> Known:
    """The tenant's documents as the catalog has them, the oldest first."""
    known = Known()
    for record in reversed(list(Catalog(connection).all(tenant))):
        known.created_at[record.document_id] = record.created_at
        known.not_indexed += record.status is not DocumentStatus.INDEXED
    return known


def said(
    connection: "Redis", *, tenant: str | None, collection: str | None
) -> Iterator[tuple[str, str, CollectionSettings]]:
    """What is said of collections: tenant, name, and that."""
    prefix = collections_key("")
    keys = [collections_key(tenant)] if tenant is not None else sorted(_keys(connection, prefix))
    for key in keys:
        of = key.removeprefix(prefix)
        if connection.type(key) != b"hash":
            continue
        found: Any = connection.hgetall(key)
        for raw_name, value in sorted(found.items()):
            name = raw_name.decode(errors="replace")
            if (
                not is_label(of)
                or not is_label(name)
                or collection not in (None, name)
                or len(value) > SAID_BYTES_MAX
            ):
                continue
            try:
                yield of, name, CollectionSettings.model_validate_json(value)
            except ValidationError:
                log.warning("collection_settings_broken", collection=name)


def is_said(connection: "Redis", tenant: str, collection: str) -> bool:
    """Whether something is said of the collection here."""
    return Catalog(connection).do(settings_of(tenant, collection)) != NOTHING_SAID


def _keys(connection: "Redis", prefix: str) -> Iterator[str]:
    for key in connection.scan_iter(match=f"{prefix}*", _type="hash"):
        yield key.decode(errors="replace")
