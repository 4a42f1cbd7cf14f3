"""Request headers that ask for how a request is handled: Prefer (RFC 7240) and Idempotency-Key (IETF draft 07)."""

import re
from typing import Annotated, Any

from fastapi import Header, Request

from app.core.contract import Caching

WAIT_SECONDS_MAX = 60

_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_KEY = re.compile(r'"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?')

_CACHE_MEANING = "`no-cache`: make the answer anew; `no-store`: nor keep it, nor give one that was kept"

_PREFER_MEANING = "`wait=N`: answer 200 with the result if it is there in N seconds, 60 at most"
_KEY_MEANING = "Your own name for this request, 1 to 255 visible characters; sent again, it gives the same job"

Prefer = Annotated[str | None, Header(description=_PREFER_MEANING)]
ClientTask = Annotated[str | None, Header(max_length=256, description="Open WebUI's task; a question has none")]
IdempotencyKey = Annotated[str | None, Header(description=_KEY_MEANING)]


def _parameter(name: str, description: str, example: str) -> dict[str, Any]:
    schema = {"type": "string", "examples": [example]}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


CACHE_CONTROL_PARAMETER = _parameter("Cache-Control", _CACHE_MEANING, "no-cache")
PREFER_PARAMETER = _parameter("Prefer", _PREFER_MEANING, "wait=1")
IDEMPOTENCY_KEY_PARAMETER = _parameter("Idempotency-Key", _KEY_MEANING, "order-7")
"""Prefer and Idempotency-Key as OpenAPI parameters, for a route that reads its request itself."""


class BadIdempotencyKeyError(Exception):
    """The Idempotency-Key is empty, too long, or holds what a key may not."""


def known_url(request: Request, public_url: str | None) -> str:
    """This service's URL as the client knows it, without a slash at its end: PUBLIC_URL, else what it has called."""
    if public_url is not None:
        return public_url
    host = getattr(request.state, "forwarded_host", None)
    known = request.base_url.replace(netloc=host) if host is not None else request.base_url
    return str(known).rstrip("/")


def wait_seconds(prefer: str | None) -> int:
    """What `wait=N` asks for, `WAIT_SECONDS_MAX` at most; 0 without it, as a preference that is not understood is
    ignored (RFC 7240, 2)."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), WAIT_SECONDS_MAX) if found else 0


def caching(cache_control: str | None) -> Caching:
    """What a request's Cache-Control asks of kept answers (RFC 9111, 5.2.1); what is not understood is ignored."""
    asked = {part.strip().lower() for part in (cache_control or "").split(",")}
    if "no-store" in asked:
        return "off"
    return "refresh" if asked & {"no-cache", "max-age=0"} else "use"


def idempotency_key(header: str | None) -> str | None:
    """The key, with or without the quotes of a structured string. Raises `BadIdempotencyKeyError`."""
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    if found is None:
        raise BadIdempotencyKeyError
    return found[1]
