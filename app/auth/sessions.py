"""Sessions of people: a cookie holds whom a key or a token has let in, signed, so that a page need not keep the key.

The cookie says who and with which role; what the key may now is asked at each request, so that a session ends with
its key. It has a mark as well, which nobody can tell from the signing secret alone, and Valkey may hold that:

- of a key: of its hash, so that a lost key's sessions do not go on with the new one of its name;
- of a token: of JWT_SECRET and of all that the session says, so that nobody makes or alters one without it.

With JWT_JWKS_URL there is no secret of ours to take a mark of: who can read Valkey can make a token's session there,
unless LINK_SECRET is set, which Valkey does not hold.
"""

import hmac
from dataclasses import dataclass, replace
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


MARK_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Marks:
    """What sessions are marked with: the keys, and of tokens their secret (empty: the issuer has it alone; None:
    tokens are not taken).
    """

    ring: KeyRing
    token_secret: bytes | None

    def of(self, session: Principal) -> str | None:
        """The mark of `session`, which has its end; None when nobody may have such a session."""
        if not _is_of_token(session):
            return None if self.ring.named(session.key) is None else self.ring.mark(session.key)
        if self.token_secret is None:
            return None
        said = f"rag-queue session\n{session.key}\n{session.role}\n{session.until}".encode()
        return hmac.digest(self.token_secret, said, "sha256").hex()[:MARK_CHARACTERS]


class BadSessionError(NotAuthenticatedError):
    """The cookie is not ours, or (`is_over`) its time or its key has come to an end."""

    def __init__(self, *, is_over: bool) -> None:
        super().__init__(is_wrong=True, is_over=is_over)


async def open_session(principal: Principal, marks: Marks, secret: LinkSecret) -> tuple[str, Principal]:
    """The cookie's value for who has shown a key or a token, and until when. Raises one of `VALKEY_UNAVAILABLE`."""
    expires = int(time()) + SESSION_SECONDS
    if principal.until is not None:
        expires = min(expires, principal.until)
    session = replace(principal, until=expires)
    what = f"{session.role}:{marks.of(session)}"
    grant = Grant(Purpose.SESSION, session.tenant, session.name, what, 0, expires)
    return sign(await secret.get(), grant), session


async def whose_session(cookie: str, marks: Marks, secret: LinkSecret) -> Principal:
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
    due = marks.of(shown)
    if grant.is_over or due is None or not hmac.compare_digest(mark.encode(), due.encode()):
        raise BadSessionError(is_over=True)
    owner = shown if _is_of_token(shown) else marks.ring.named(shown.key)
    assert owner is not None  # else it had no mark
    return replace(owner, role=shown.role if owner.role.may(shown.role) else owner.role, until=grant.expires)


def cookie_of(request: Request) -> str | None:
    """The session that the request shows."""
    return request.cookies.get(COOKIE)


def _is_of_token(principal: Principal) -> bool:
    """A token's name has a colon, which no key's has."""
    return ":" in principal.name
