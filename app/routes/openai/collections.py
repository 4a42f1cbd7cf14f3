"""Which collections are models: the default one, and whatever has a document."""

from redis.asyncio import Redis

from app.core.contract import DEFAULT_COLLECTION
from app.core.documents import operations
from app.core.documents.catalog import AsyncCatalog
from app.routes.openai.questions import no_such_model


async def check_collection(valkey: "Redis", tenant: str, collection: str) -> None:
    """Raises `OpenAIError` (404) for a collection of which the tenant's catalog has no document, in whatever state.

    One question to Valkey, of the same cost however many documents there are; none for the default collection. What a
    catalog has lost, `python -m ingest --repair` and a worker's start bring back.
    """
    if collection == DEFAULT_COLLECTION:
        return
    if not await AsyncCatalog(valkey).do(operations.has_documents(tenant, collection)):
        raise no_such_model()
