"""Request headers that ask for how a request is handled: Prefer (RFC 7240) and Idempotency-Key (IETF draft 07)."""

import re
from typing import Annotated

from fastapi import Header

WAIT_SECONDS_MAX = 60

_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_KEY = re.compile(r'"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?')

Prefer = Annotated[
    str | None,
    Header(description="`wait=N`: answer 200 with the result if it is there in N seconds, 60 at most"),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Your own name for this request, 1 to 255 visible characters. Sent again with the same body, it "
        "gives the same job"
    ),
]


class BadIdempotencyKeyError(Exception):
    """The Idempotency-Key is empty, too long, or holds what a key may not."""


def wait_seconds(prefer: str | None) -> int:
    """What `wait=N` asks for, `WAIT_SECONDS_MAX` at most; 0 without it, as a preference that is not understood is
    ignored (RFC 7240, 2)."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), WAIT_SECONDS_MAX) if found else 0


def idempotency_key(header: str | None) -> str | None:
    """The key, with or without the quotes of a structured string. Raises `BadIdempotencyKeyError`."""
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    if found is None:
        raise BadIdempotencyKeyError
    return found[1]
