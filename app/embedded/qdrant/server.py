"""The embedded Qdrant: the part of Qdrant's REST API that qdrant-client uses, over Qdrant Edge, on loopback.

    python -m app.embedded.qdrant --data-dir DIR --port N

One process owns the directory. Port 0 takes any free one. When it is ready, it prints {"url": ...} to stdout.
An adapter, not a database: what Edge cannot do exactly as Qdrant does it is answered with 501.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.embedded.qdrant.edge import payload_indexes, writes
from app.embedded.qdrant.edge.answers import plain, record, scored
from app.embedded.qdrant.edge.collection_config import metadata
from app.embedded.qdrant.edge.errors import ApiError, BadInputError, NotFoundError, NotSupportedError
from app.embedded.qdrant.edge.ids import point_ids
from app.embedded.qdrant.edge.queries import query_request
from app.embedded.qdrant.edge.reads import count_request, facet_request, scroll_request
from app.embedded.qdrant.edge.selectors import with_payload, with_vector
from app.embedded.qdrant.edge.values import Json, fields, required, sequence
from app.embedded.qdrant.edge.vectors import Schema
from app.embedded.qdrant.store import Collection, Store, StoreError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
LOCAL_NAMES = {"127.0.0.1", "localhost", "[::1]"}
MAX_BODY_BYTES = 64 * 2**20
KEEP_ALIVE_SECONDS = 75  # longer than a client keeps an idle connection, so that it is never us who close it
SHUTDOWN_SECONDS = 10  # for the requests in flight
BACKLOG = 512

Read = Callable[[Collection, Json], Json]
ToWrite = Callable[[Json, Schema], writes.Write]
Endpoint = Callable[[Request], Awaitable[Json]]


class BodyTooLargeError(ApiError):
    """More than `MAX_BODY_BYTES`."""

    status = 413


# What is read from a collection


def query(collection: Collection, body: Json) -> Json:
    """The points that score best."""
    return scored(collection.shard.query(query_request(body, collection.schema)))


def query_batch(collection: Collection, body: Json) -> Json:
    """Several queries at once."""
    given = fields(body, "batch", ("searches",))
    searches = sequence(required(given, "searches", "batch"), "searches")
    return [query(collection, search) for search in searches]


def scroll(collection: Collection, body: Json) -> Json:
    """A page of points, in the order of their ids or of a payload field."""
    points, following = collection.shard.scroll(scroll_request(body, collection.schema))
    return {"points": [record(point) for point in points], "next_page_offset": following}


def retrieve(collection: Collection, body: Json) -> Json:
    """The points of the given ids that exist."""
    given = fields(body, "retrieve", ("ids", "with_payload", "with_vector"), ("shard_key",))
    points = collection.shard.retrieve(
        point_ids(required(given, "ids", "retrieve")),
        with_payload(given.get("with_payload", True)),
        with_vector(given.get("with_vector", False), collection.schema),
    )
    return [record(point) for point in points]


def count(collection: Collection, body: Json) -> Json:
    """How many points pass a filter."""
    return {"count": collection.shard.count(count_request(body))}


def facet(collection: Collection, body: Json) -> Json:
    """How many points there are for each value of a field."""
    hits = collection.shard.facet(facet_request(body)).hits
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
    """Whether there is such a collection."""
    return {"exists": request.path_params["name"] in store_of(request).collections}


async def create_collection(request: Request) -> Json:
    """Make a collection."""
    body = await json_body(request)
    store_of(request).create(request.path_params["name"], body)
    return True


async def update_collection(request: Request) -> Json:
    """Change a collection's metadata; nothing else can change."""
    body = await json_body(request)
    later = ("vectors", "optimizers_config", "params", "hnsw_config", "quantization_config", "sparse_vectors")
    given = fields(body, "collection", ("metadata",), (*later, "strict_mode_config"))
    await collection_of(request).merge_metadata(metadata(given.get("metadata", {})))
    return True


async def delete_collection(request: Request) -> Json:
    """Delete a collection, if there is one."""
    return await store_of(request).drop(request.path_params["name"])


async def delete_index(request: Request) -> Json:
    """Drop a payload index."""
    write = payload_indexes.delete_index(request.path_params["field"])
    return await apply(request, collection_of(request), write)


COLLECTION = "/collections/{name}"


def routes() -> list[Route]:
    """Every address there is, the busiest first."""
    return [
        *(route("POST", COLLECTION + path, reading(read)) for path, read in READS.items()),
        *(route(method, COLLECTION + path, writing(write)) for (method, path), write in WRITES.items()),
        route("GET", COLLECTION + "/exists", collection_exists),
        route("GET", COLLECTION, get_collection),
        route("PUT", COLLECTION, create_collection),
        route("PATCH", COLLECTION, update_collection),
        route("DELETE", COLLECTION, delete_collection),
        route("DELETE", COLLECTION + "/index/{field}", delete_index),
        route("GET", "/collections", list_collections),
        Route("/", root),
        *(Route(path, health) for path in ("/healthz", "/readyz", "/livez")),
    ]


def route(method: str, path: str, endpoint: Endpoint) -> Route:
    """A route whose result goes into Qdrant's envelope, and whose refusals take Qdrant's form."""

    async def enveloped(request: Request) -> Response:
        started = time.perf_counter()
        try:
            result = await endpoint(request)
        except ApiError as error:
            return refusal(error.status, str(error))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a panic in Edge is no Exception
            return failure(error)
        return answer({"result": result, "status": "ok", "time": time.perf_counter() - started})

    return Route(path, enveloped, methods=[method])


# Requests and answers


def store_of(request: Request) -> Store:
    """The store that the application was made with."""
    store: Store = request.app.state.store
    return store


def collection_of(request: Request) -> Collection:
    """The collection that the address names."""
    return store_of(request).get(request.path_params["name"])


async def json_body(request: Request) -> Json:
    """The request's body; one that is too large is read to its end, so that the client hears why."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
    if size > MAX_BODY_BYTES:
        raise BodyTooLargeError(f"Payload too large: a request has at most {MAX_BODY_BYTES} bytes, send less at once")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"Format error in JSON body: {error}") from None


def answer(body: Json, status: int = 200) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body, default=plain), status, media_type="application/json")


def refusal(status: int, message: str) -> Response:
    """An error as Qdrant writes it."""
    return answer({"status": {"error": message}, "time": 0.0}, status)


def failure(error: BaseException) -> Response:
    """The answer to an error that Edge raised: plain `Exception`s, which only their text tells apart."""
    message = str(error)
    if type(error) is Exception and not message.startswith("Service"):
        missing = message.startswith("No point with id")
        refused = NotFoundError(message) if missing else BadInputError(message)
        return refusal(refused.status, str(refused))
    log.error("request failed", exc_info=error)
    return refusal(500, "Service internal error: see the log of the embedded Qdrant")


async def unknown(request: Request, _: Exception) -> Response:
    """The answer for an address that is Qdrant's but not ours."""
    refused = NotSupportedError(f"{request.method} {request.url.path}")
    return refusal(refused.status, str(refused))


class LocalOnly:
    """Refuses what a web page in the user's browser could send: another host's name, or an `Origin`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and not is_local(scope):
            respond = refusal(403, "Forbidden: only programs on this machine may use the embedded Qdrant")
            await respond(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_local(scope: Scope) -> bool:
    """Whether the request names this machine as its host and comes from no web page."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    name, colon, port = headers.get(b"host", b"").decode("latin-1").lower().rpartition(":")
    if not (colon and port.isdigit()):
        name = name + colon + port
    return name in LOCAL_NAMES and b"origin" not in headers


def create_app(store: Store, on_ready: Callable[[], None]) -> ASGIApp:
    """The server's application; `on_ready` is called once, before the first request."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        upkeep = [asyncio.create_task(task()) for task in (store.flush_forever, store.optimize_forever)]
        on_ready()
        yield
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)

    app = Starlette(routes=routes(), lifespan=lifespan, exception_handlers={HTTPException: unknown})
    app.state.store = store
    return LocalOnly(app)


# The command


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.embedded.qdrant", description="The embedded Qdrant.")
    parser.add_argument("--data-dir", type=Path, required=True, help="where the collections are kept")
    parser.add_argument("--port", type=int, default=6333, help="on 127.0.0.1; 0 takes any free one (default 6333)")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65_535:
        parser.error(f"--port must be 0 to 65535, got {options.port}")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="qdrant: %(levelname)s: %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        listener = listen(options.port)
        with contextlib.closing(Store.open(options.data_dir.resolve())) as store:
            serve(store, listener)
    except StoreError as error:
        sys.stderr.write(f"qdrant: {error}\n")
        return 1
    return 0


def stop(*_: object) -> NoReturn:
    """End with exit code 0. While serving, uvicorn takes the signals, and raises them again when it is done."""
    sys.exit(0)


def listen(port: int) -> socket.socket:
    """A socket on loopback; raises `StoreError` when the port is taken."""
    # Named as TCP: only then does asyncio switch off Nagle's algorithm, which costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as error:
        raise StoreError(
            f"cannot listen on {HOST}:{port}: {error.strerror}. Choose another port with --port (0 takes any)"
        ) from error
    return listener


def serve(store: Store, listener: socket.socket) -> None:
    """Serve `store` on `listener` until a signal comes."""
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    app = create_app(store, on_ready=lambda: print(orjson.dumps({"url": url}).decode(), flush=True))  # noqa: T201
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])
