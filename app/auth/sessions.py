"""Sessions of people: a cookie holds whom a key or a token has let in, signed, so that a page need not keep the key.

The cookie says who and with which role; what the key may now is asked at each request, so that a session ends with
its key. It has a mark of the key as well, which nobody can tell from the signing secret: who reads that in Valkey
cannot make a key's session, and those of a lost key do not go on with the new one of its name.
"""

import hmac
from dataclasses import replace
from time import time

from starlette.requests import Request

from app.auth.api_keys import KeyRing
from app.auth.principals import NotAuthenticatedError, Principal, Role
from app.auth.signed import read_with
from app.core.link_secret import LinkSecret
from app.core.signed import BadSignatureError, Grant, Purpose, sign

COOKIE = "rag_session"
SESSION_SECONDS = 12 * 3600
"""A working day; the session of a token ends with the token, if that is earlier."""


class BadSessionError(NotAuthenticatedError):
    """The cookie is not ours, or (`is_over`) its time or its key has come to an end."""

    def __init__(self, *, is_over: bool) -> None:
        super().__init__(is_wrong=True, is_over=is_over)


async def open_session(principal: Principal, ring: KeyRing, secret: LinkSecret) -> tuple[str, Principal]:
    """The cookie's value for who has shown a key or a token, and until when. Raises one of `VALKEY_UNAVAILABLE`."""
    expires = int(time()) + SESSION_SECONDS
    if principal.until is not None:
        expires = min(expires, principal.until)
    what = f"{principal.role}:{'' if _is_of_token(principal) else ring.mark(principal.key)}"
    grant = Grant(Purpose.SESSION, principal.tenant, principal.name, what, 0, expires)
    return sign(await secret.get(), grant), replace(principal, until=expires)


async def whose_session(cookie: str, ring: KeyRing, secret: LinkSecret, *, takes_tokens: bool) -> Principal:
    """Whom the cookie lets in, with no more than their key may now. Raises `BadSessionError` or one of
    `VALKEY_UNAVAILABLE`.
    """
    try:
        grant = await read_with(secret, cookie)
    except BadSignatureError:
        raise BadSessionError(is_over=False) from None
    role, colon, mark = grant.thing.partition(":")
    if grant.purpose is not Purpose.SESSION or not colon or role not in list(Role):
        raise BadSessionError(is_over=False)
    shown = Principal(grant.tenant, grant.name, Role(role), until=grant.expires)
    owner = shown if _is_of_token(shown) and takes_tokens else ring.named(shown.key)
    if grant.is_over or owner is None:
        raise BadSessionError(is_over=True)
    if owner is shown:
        return shown
    if not hmac.compare_digest(mark.encode(), ring.mark(shown.key).encode()):
        raise BadSessionError(is_over=True)
    return replace(owner, role=shown.role if owner.role.may(shown.role) else owner.role, until=grant.expires)


def cookie_of(request: Request) -> str | None:
    """The session that the request shows."""
    return request.cookies.get(COOKIE)


def _is_of_token(principal: Principal) -> bool:
    """A token's name has a colon, which no key's has."""
    return ":" in principal.name
