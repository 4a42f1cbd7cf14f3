"""/v1/models: one for each collection of documents."""

from fastapi import APIRouter

from app.auth.dependencies import Asker
from app.core.contract import DEFAULT_COLLECTION
from app.core.documents import operations
from app.core.documents.catalog import AsyncCatalog
from app.core.documents.operations import PAGE_LIMIT_MAX
from app.dependencies import ApiDep
from app.routes.openai.collections import check_collection
from app.routes.openai.errors import OpenAIRoute, error_responses
from app.routes.openai.questions import MODEL, collection_of, model_of
from app.routes.openai.schemas import Model, ModelList

CREATED = 1_763_683_200
"""21 November 2025: a model must say since when it is there, and collections don't."""

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)


@router.get("/models", responses=error_responses(401, 403, 429, 503))
async def list_models(principal: Asker, api: ApiDep) -> ModelList:
    """`rag-queue` for the default collection, `rag-queue:{collection}` for others that have documents, and the model
    of /v1/embeddings, if there is one.

    Those of the thousand newest documents are listed; every other can be asked as well.
    """
    page = await AsyncCatalog(api.valkey).do(operations.page(principal.tenant, limit=PAGE_LIMIT_MAX))
    others = {document.collection for document in page.documents} - {DEFAULT_COLLECTION}
    names = [model_of(name) for name in (DEFAULT_COLLECTION, *sorted(others))]
    return ModelList(data=[_model(name) for name in (*names, await api.queue.embedding_model()) if name])


@router.get("/models/{model}", responses=error_responses(401, 403, 404, 429, 503))
async def retrieve_model(model: str, principal: Asker, api: ApiDep) -> Model:
    """One model. A collection without documents is none, but for the default one."""
    if model == await api.queue.embedding_model():
        return _model(model)
    collection = collection_of(model)
    await check_collection(api.valkey, principal.tenant, collection)
    return _model(model_of(collection))


def _model(name: str) -> Model:
    return Model(id=name, created=CREATED, owned_by=MODEL)
