"""The links of a response: under the address by which its client knows the service, and followed with what it may."""

from typing import Any, cast

from fastapi import Request
from starlette.types import Scope

from app.auth.dependencies import Principal
from app.auth.gate import Gate
from app.core.links import PLAIN, Links
from app.core.settings import Settings
from app.dependencies import api_of
from app.request_headers import known_url

SIG_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "page",
        "in": "query",
        "required": False,
        "description": "The page that a signed link is for",
        "schema": {"type": "integer", "minimum": 1},
    },
    {
        "name": "sig",
        "in": "query",
        "required": False,
        "description": "Of a citation's `url`: opens that page's file without a key, for an hour",
        "schema": {"type": "string"},
    },
]
TICKET_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "ticket",
        "in": "query",
        "required": False,
        "description": "Of POST /jobs/{job_id}/ticket: reads this job without a key",
        "schema": {"type": "string"},
    }
]
"""What stands in an address instead of a key, as OpenAPI parameters: the gate reads it, before the route."""


async def links_for(request: Request, principal: Principal) -> Links:
    """Links that `principal` may follow. Raises one of `VALKEY_UNAVAILABLE` where they are signed."""
    return await _links(request, principal, link_base(request.scope, api_of(request).settings))


async def whole_links_for(request: Request, principal: Principal) -> Links:
    """The same with scheme and host, as OpenAI's clients want them."""
    return await _links(request, principal, base_url(request))


async def _links(request: Request, principal: Principal, base: str) -> Links:
    secret = cast(Gate, request.app.state.gate).secret
    if secret is None and not base:
        return PLAIN
    signing = await secret.get() if secret is not None else None
    return Links(base, signing, principal.tenant, principal.name)


def link_base(scope: Scope, settings: Settings) -> str:
    """What goes before a path of ours in a link: PUBLIC_URL, else the prefix that we are served under."""
    return settings.public_url or scope.get("root_path", "").rstrip("/")


def base_url(request: Request) -> str:
    """This service's URL as the client knows it, without a slash at its end."""
    return known_url(request, api_of(request).settings.public_url)
