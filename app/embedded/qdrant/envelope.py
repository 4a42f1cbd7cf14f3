"""Requests in and answers out as Qdrant's REST API has them: JSON in an envelope, refusals with status and reason."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.embedded.qdrant.edge.answers import plain
from app.embedded.qdrant.edge.errors import ApiError, BadInputError, NotFoundError, NotSupportedError
from app.embedded.qdrant.edge.values import Json
from app.embedded.qdrant.lines import reason_of

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 2**20

Endpoint = Callable[[Request], Awaitable[Json]]


class BodyTooLargeError(ApiError):
    """More than `MAX_BODY_BYTES`."""

    status = 413


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
    log.error("request_failed", exc_info=error, extra={"reason": reason_of(message)})
    return refusal(500, "Service internal error: see the log of the embedded Qdrant")


async def unknown(request: Request, _: Exception) -> Response:
    """The answer for an address that is Qdrant's but not ours."""
    refused = NotSupportedError(f"{request.method} {request.url.path}")
    return refusal(refused.status, str(refused))
