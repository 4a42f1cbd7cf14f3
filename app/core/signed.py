"""Tokens that stand in an address: a right to read one thing until a time, signed with HMAC-SHA256 (RFC 2104). Those
of sessions stand in a cookie.

A token is `body.signature`, each in base64url without padding; the body is JSON, and for whoever has the token to
read. It says all that it is for, so that nothing of it can be put to another use.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from time import time
from typing import NamedTuple

import orjson
from pydantic import TypeAdapter, ValidationError

from app.core.models import HIDDEN

SECRET_BYTES = 32
"""As long as the digest of HMAC-SHA256."""
TOKEN_MAX_CHARACTERS = 2048
"""Labels have 128 characters at most, and a body has a few of them."""


class Purpose(StrEnum):
    """What it is for: to read a document's file, opened at a page; a job's state, events and result; a session."""

    FILE = "file"
    JOB = "job"
    SESSION = "session"


class Grant(NamedTuple):
    """What a token gives: `name` of `tenant` lets its holder read `thing` until `expires` (seconds since 1970).

    `thing` is a document's or a job's id, or what a session may (`app.auth.sessions`); `page` is 0 but
    for a document.
    """

    purpose: Purpose
    tenant: str
    name: str
    thing: str
    page: int
    expires: int

    @property
    def is_over(self) -> bool:
        """Whether its time has passed."""
        return self.expires <= time()


_GRANT = TypeAdapter[Grant](Grant, config=HIDDEN)


class BadSignatureError(Exception):
    """The token was not signed with this secret, or is none."""


def sign(secret: bytes, grant: Grant) -> str:
    """The token of `grant`."""
    body = urlsafe_b64encode(orjson.dumps(tuple(grant))).rstrip(b"=")
    return (body + b"." + _signature(secret, body)).decode("ascii")


def read(secret: bytes, token: str) -> Grant:
    """What `token` gives; it may be over. Raises `BadSignatureError`."""
    if len(token) > TOKEN_MAX_CHARACTERS or not token.isascii():
        raise BadSignatureError
    body, _, signature = token.encode("ascii").partition(b".")
    if not hmac.compare_digest(_signature(secret, body), signature):
        raise BadSignatureError
    try:  # it is ours; but a secret may be shared, and other versions' bodies may look otherwise
        return _GRANT.validate_json(urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    except (ValidationError, ValueError) as error:
        raise BadSignatureError from error


def _signature(secret: bytes, body: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(secret, b"rag-queue link\n" + body, "sha256")).rstrip(b"=")
