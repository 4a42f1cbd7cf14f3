"""What stands in an address instead of a header: links and EventSource can send none.

`?sig=` lets read one document's file, with the `page` that it was signed for; `?ticket=` one job.
"""

from collections.abc import Mapping

from starlette.requests import Request

from app.auth.principals import NotAuthenticatedError
from app.core.link_secret import LinkSecret
from app.core.signed import BadSignatureError, Grant, Purpose, read

PARAMETERS: Mapping[Purpose, str] = {Purpose.FILE: "sig", Purpose.JOB: "ticket"}
"""By which name the token of each purpose stands in the address."""


class BadLinkError(NotAuthenticatedError):
    """The token is not this thing's, not ours, or (`is_over`) its time has passed."""

    def __init__(self, *, is_over: bool) -> None:
        super().__init__(is_wrong=True, is_over=is_over)


async def grant_of(request: Request, purpose: Purpose, secret: LinkSecret) -> Grant | None:
    """What the token in the request's address gives; None when there is none.

    Raises `BadLinkError` or one of `VALKEY_UNAVAILABLE`.
    """
    token = request.query_params.get(PARAMETERS[purpose])
    if token is None:
        return None
    try:
        grant = await read_with(secret, token)
    except BadSignatureError:
        raise BadLinkError(is_over=False) from None
    if grant.purpose is not purpose or (grant.thing, str(grant.page)) != _asked(request, purpose):
        raise BadLinkError(is_over=False)
    if grant.is_over:
        raise BadLinkError(is_over=True)
    return grant


async def read_with(secret: LinkSecret, token: str) -> Grant:
    """What `token` gives, by the secret as it is now, when the one that we have did not sign it.

    Raises `BadSignatureError` or one of `VALKEY_UNAVAILABLE`.
    """
    try:
        return read(await secret.get(), token)
    except BadSignatureError:
        pass
    return read(await secret.renewed(), token)


def _asked(request: Request, purpose: Purpose) -> tuple[str, str]:
    """Which thing the request is for, and at which page."""
    if purpose is Purpose.FILE:
        return request.path_params["document_id"], request.query_params.get("page", "")
    return request.path_params["job_id"], "0"
