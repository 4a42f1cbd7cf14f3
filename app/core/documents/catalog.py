"""The catalog of documents in Valkey: what the API shows of each one, from its upload to its last page.

It is a projection of the index, which can be rebuilt from there. What can be asked of it stands in `operations`; here
is who asks: workers and ingest wait for the reply, the API awaits it.
"""

from collections.abc import Iterator
from typing import TypeVar

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.documents import operations
from app.core.documents.operations import Operation
from app.core.documents.records import DocumentRecord

T = TypeVar("T")


class Catalog:
    """The catalog for workers and ingest. Its methods raise what redis-py raises when Valkey is unavailable."""

    def __init__(self, connection: "Redis") -> None:
        self._connection = connection

    def do(self, operation: Operation[T]) -> T:
        """Run `operation`; what it gives, or raises."""
        keys = operation.keys
        return operation.read(self._connection.eval(operation.script, len(keys), *keys, *operation.arguments))

    def all(self, tenant: str, *, collection: str | None = None) -> Iterator[DocumentRecord]:
        """Every document of the tenant, the newest first."""
        page = self.do(operations.page(tenant, collection=collection))
        yield from page.documents
        while page.next is not None:
            page = self.do(operations.page(tenant, collection=collection, after=page.next))
            yield from page.documents


class AsyncCatalog:
    """The same for the API."""

    def __init__(self, connection: "AsyncRedis") -> None:
        self._connection = connection

    async def do(self, operation: Operation[T]) -> T:
        """As `Catalog.do`."""
        keys = operation.keys
        return operation.read(await self._connection.eval(operation.script, len(keys), *keys, *operation.arguments))
