"""Every address of the embedded Qdrant, and what it does."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.embedded.qdrant.collection import Collection
from app.embedded.qdrant.edge import payload_indexes, reads, writes
from app.embedded.qdrant.edge.answers import record, scored
from app.embedded.qdrant.edge.collection_config import asks_for_optimization, metadata_changes
from app.embedded.qdrant.edge.queries import query_request, searches
from app.embedded.qdrant.edge.values import Json
from app.embedded.qdrant.edge.vectors import Schema
from app.embedded.qdrant.envelope import Endpoint, answer, json_body, route
from app.embedded.qdrant.store import Store

Read = Callable[[Collection, Json], Json]
ToWrite = Callable[[Json, Schema], writes.Write]


# What is read from a collection


def query(collection: Collection, body: Json) -> Json:
    """The points that score best."""
    return scored(collection.shard.query(query_request(body, collection.schema)))


def query_batch(collection: Collection, body: Json) -> Json:
    """Several queries at once."""
    return [query(collection, search) for search in searches(body)]


def scroll(collection: Collection, body: Json) -> Json:
    """A page of points, in the order of their ids or of a payload field."""
    points, following = collection.shard.scroll(reads.scroll_request(body, collection.schema))
    return {"points": [record(point) for point in points], "next_page_offset": following}


def retrieve(collection: Collection, body: Json) -> Json:
    """The points of the given ids that exist."""
    wanted = reads.retrieve_request(body, collection.schema)
    return [record(point) for point in collection.shard.retrieve(*wanted)]


def count(collection: Collection, body: Json) -> Json:
    """How many points pass a filter."""
    return {"count": collection.shard.count(reads.count_request(body))}


def facet(collection: Collection, body: Json) -> Json:
    """How many points there are for each value of a field."""
    hits = collection.shard.facet(reads.facet_request(body)).hits
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in hits]}


READS: dict[str, Read] = {
    "/points/query": query,
    "/points/query/batch": query_batch,
    "/points/scroll": scroll,
    "/points/count": count,
    "/points": retrieve,
    "/facet": facet,
}
WRITES: dict[tuple[str, str], ToWrite] = {
    ("PUT", "/points"): writes.upsert,
    ("POST", "/points/delete"): writes.delete,
    ("POST", "/points/payload"): writes.set_payload,
    ("PUT", "/points/payload"): writes.overwrite_payload,
    ("POST", "/points/payload/delete"): writes.delete_payload,
    ("POST", "/points/payload/clear"): writes.clear_payload,
    ("PUT", "/index"): payload_indexes.create_index,
}


def reading(read: Read) -> Endpoint:
    """The endpoint of a `Read`."""

    async def endpoint(request: Request) -> Json:
        body = await json_body(request)
        return read(collection_of(request), body)

    return endpoint


def writing(to_write: ToWrite) -> Endpoint:
    """The endpoint of a write."""

    async def endpoint(request: Request) -> Json:
        body = await json_body(request)
        collection = collection_of(request)
        return await apply(request, collection, to_write(body, collection.schema))

    return endpoint


async def apply(request: Request, collection: Collection, write: writes.Write) -> Json:
    """Carry out `write`, and answer as Qdrant does; it is always done when we answer, asked to wait or not."""
    number = await collection.apply(write)
    waited = request.query_params.get("wait") == "true"
    return {"operation_id": number, "status": "completed" if waited else "acknowledged"}


# What concerns collections as a whole


async def root(_: Request) -> Response:
    """Name and version: the client's own, which it holds to be compatible."""
    from importlib.metadata import version  # 30 ms of a start, and rarely asked for

    return answer({"title": "qdrant - vector search engine (embedded)", "version": version("qdrant-client")})


async def health(request: Request) -> Response:
    """That we are there."""
    return PlainTextResponse(f"{request.url.path.strip('/')} check passed")


async def list_collections(request: Request) -> Json:
    """The names of all collections."""
    return {"collections": [{"name": name} for name in store_of(request).collections]}


async def get_collection(request: Request) -> Json:
    """State and configuration of a collection."""
    return collection_of(request).describe()


async def collection_exists(request: Request) -> Json:
    """Whether there is such a collection, or an alias of one."""
    store = store_of(request)
    return {"exists": store.aliases.resolve(request.path_params["name"]) in store.collections}


async def change_aliases(request: Request) -> Json:
    """Make, delete and rename aliases: all that is asked in one step."""
    store_of(request).aliases.change(await json_body(request))
    return True


async def list_aliases(request: Request) -> Json:
    """Every alias, or those of the collection that the address names."""
    return store_of(request).aliases.described(request.path_params.get("name"))


async def create_collection(request: Request) -> Json:
    """Make a collection."""
    body = await json_body(request)
    store_of(request).create(request.path_params["name"], body)
    return True


async def update_collection(request: Request) -> Json:
    """Change a collection's metadata; nothing else can change.

    With an empty `optimizers_config`, Qdrant's own way to have its optimizers look again, it is written anew.
    """
    body = await json_body(request)
    collection = collection_of(request)
    await collection.merge_metadata(metadata_changes(body))
    if asks_for_optimization(body):
        collection.rewrite_soon()
    return True


async def delete_collection(request: Request) -> Json:
    """Delete a collection, if there is one."""
    return await store_of(request).drop(request.path_params["name"])


async def delete_index(request: Request) -> Json:
    """Drop a payload index."""
    write = payload_indexes.delete_index(request.path_params["field"])
    return await apply(request, collection_of(request), write)


# What Qdrant has otherwise: its snapshots are files of a server


async def copy(request: Request) -> Json:
    """Copy all files beside, for a backup."""
    return {"name": await store_of(request).copy()}


async def drop_copy(request: Request) -> Json:
    """Delete a copy, if there is one."""
    return await store_of(request).drop_copy(request.path_params["name"])


COLLECTION = "/collections/{name}"


def routes() -> list[Route]:
    """Every address there is, the busiest first."""
    return [
        *(route("POST", COLLECTION + path, reading(read)) for path, read in READS.items()),
        *(route(method, COLLECTION + path, writing(write)) for (method, path), write in WRITES.items()),
        route("GET", "/aliases", list_aliases),
        route("POST", "/collections/aliases", change_aliases),
        route("GET", COLLECTION + "/aliases", list_aliases),
        route("GET", COLLECTION + "/exists", collection_exists),
        route("GET", COLLECTION, get_collection),
        route("PUT", COLLECTION, create_collection),
        route("PATCH", COLLECTION, update_collection),
        route("DELETE", COLLECTION, delete_collection),
        route("DELETE", COLLECTION + "/index/{field}", delete_index),
        route("GET", "/collections", list_collections),
        route("POST", "/embedded/copies", copy),
        route("DELETE", "/embedded/copies/{name}", drop_copy),
        Route("/", root),
        *(Route(path, health) for path in ("/healthz", "/readyz", "/livez")),
    ]


def store_of(request: Request) -> Store:
    """The store that the application was made with."""
    store: Store = request.app.state.store
    return store


def collection_of(request: Request) -> Collection:
    """The collection that the address names."""
    return store_of(request).get(request.path_params["name"])
