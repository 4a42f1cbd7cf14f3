"""Collections of documents: list, read, say what each is and how it is to be asked."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi import Query as QueryParameter

from app.auth.dependencies import Admin, AdmittedRoute, Asker
from app.core.contract import Label
from app.core.documents import collections
from app.core.documents.catalog import AsyncCatalog
from app.dependencies import Api, ApiDep
from app.documents.schemas import CollectionList, CollectionRequest, CollectionView, collection_view
from app.schemas import problem_responses

LIST_LIMIT_MAX = 100

router = APIRouter(tags=["collections"], route_class=AdmittedRoute)


@router.get("/collections", responses=problem_responses(401, 403, 422, 429, 503))
async def list_collections(
    principal: Asker,
    api: ApiDep,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX, description="Collections at most")] = 50,
    cursor: Annotated[Label | None, QueryParameter(description="A page's `next_cursor`")] = None,
) -> CollectionList:
    """The collections that have documents, or of which something is said, by name, a page at a time."""
    asked = collections.page(principal.tenant, after=cursor or "", limit=limit)
    page = await collections.counted(AsyncCatalog(api.valkey), asked)
    model = await _embedding_model(api)
    return CollectionList(
        collections=[collection_view(collection, model) for collection in page.collections], next_cursor=page.next
    )


@router.get("/collections/{name}", responses=problem_responses(401, 403, 404, 429, 503))
async def collection(
    name: Annotated[str, Path(description="`collection` of its questions and documents")],
    principal: Asker,
    api: ApiDep,
) -> CollectionView:
    """What is said of the collection, and how much it holds. `default` is the one of whoever names none."""
    found = await collections.counted(AsyncCatalog(api.valkey), collections.get(principal.tenant, name))
    return collection_view(found, await _embedding_model(api))


@router.put(
    "/collections/{name}",
    responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 429, 503)
    | {201: {"model": CollectionView, "description": "There was no collection of this name"}},
)
async def put_collection(
    name: Annotated[Label, Path(description="`collection` of its questions and documents, which may come later")],
    said: CollectionRequest,
    principal: Admin,
    api: ApiDep,
    response: Response,
) -> CollectionView:
    """Say what the collection is, and how it is to be asked, in place of what was said before.

    Its `instructions` are told to the model below the service's own rules and the operator's, above the caller's.
    Answers that are kept from before are not given again.
    """
    catalog = AsyncCatalog(api.valkey)
    if await catalog.do(collections.put(principal.tenant, name, said)):
        response.status_code = 201
    found = await collections.counted(catalog, collections.get(principal.tenant, name))
    return collection_view(found, await _embedding_model(api))


async def _embedding_model(api: Api) -> str | None:
    """The model whose vectors all chunks have; None also while a worker finds that some lack them."""
    return api.settings.embedding_model if await api.queue.index_state() is None else None
