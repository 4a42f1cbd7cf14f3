"""Signing in and out: a browser shows a cookie instead of a key, which the page then need not keep."""

from datetime import UTC, datetime
from time import time
from typing import cast

from fastapi import APIRouter, Request, Response

from app.auth.dependencies import AdmittedRoute, Asker, Principal
from app.auth.gate import Gate
from app.auth.origins import check_no_other_page
from app.auth.sessions import COOKIE
from app.core.settings import Settings
from app.dependencies import ApiDep
from app.request_headers import known_url
from app.schemas import Session, SignIn, problem_responses

router = APIRouter(tags=["session"], route_class=AdmittedRoute)


@router.post("/session", responses=problem_responses(400, 401, 403, 413, 415, 422, 429, 503))
async def sign_in(shown: SignIn, api: ApiDep, request: Request, response: Response) -> Session:
    """Sign in with a key or a token, for 12 hours at most: the answer's cookie lets in like the key.

    A service without keys needs none: the answer says who everyone is, and has no cookie.
    """
    key = shown.key.get_secret_value().strip().encode()
    token, principal = await cast(Gate, request.app.state.gate).sign_in(request, key)
    request.state.principal = principal  # for the log
    if token is not None and principal.until is not None:
        _set_cookie(request, response, api.settings, token, max(0, principal.until - int(time())))
    return _session(principal)


@router.get("/session", responses=problem_responses(401, 403, 429, 503))
async def who_asks(principal: Asker, response: Response) -> Session:
    """Who you are here, by the cookie or by the key that you show."""
    response.headers["Cache-Control"] = "no-store"
    return _session(principal)


@router.delete("/session", status_code=204, responses=problem_responses(403))
async def sign_out(api: ApiDep, request: Request) -> Response:
    """Take the cookie away, whatever it is worth."""
    check_no_other_page(request, api.settings.public_url)
    response = Response(status_code=204)
    _set_cookie(request, response, api.settings, "", 0)
    return response


def _set_cookie(request: Request, response: Response, settings: Settings, value: str, seconds: int) -> None:
    """No script reads it, no other site's page sends it, and nothing beside this service gets it."""
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path=request.scope.get("root_path", "").rstrip("/") or "/",
        secure="https" in (request.url.scheme, known_url(request, settings.public_url).partition(":")[0]),
        httponly=True,
        samesite="strict",
    )


def _session(principal: Principal) -> Session:
    expires_at = None if principal.until is None else datetime.fromtimestamp(principal.until, UTC)
    return Session(tenant=principal.tenant, name=principal.name, role=principal.role.value, expires_at=expires_at)
