"""Cross-origin requests of the pages that CORS_ORIGINS names (https://fetch.spec.whatwg.org, "CORS protocol")."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Send

METHODS = ("GET", "HEAD", "POST", "DELETE")
RESPONSE_HEADERS = (
    "Location", "Retry-After", "X-Should-Retry", "Idempotent-Replayed", "Preference-Applied", "RateLimit",
    "RateLimit-Policy", "WWW-Authenticate", "Allow", "Content-Disposition", "Content-Range", "Accept-Ranges", "ETag",
    "X-Request-ID",
)  # fmt: skip
"""What a page may read beside the few that it may always."""
MAX_AGE_SECONDS = 600
"""How long a browser remembers a preflight's answer."""
ASKED_MAX_CHARACTERS = 2048
"""Of Access-Control-Request-Headers: OpenAI's clients ask for some 300."""

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}"  # RFC 9110, section 5.6.2
_ASKED = re.compile(rf"{_NAME}(?:[ \t]*,[ \t]*{_NAME})*")


class PageMiddleware(CORSMiddleware):
    """Starlette's, which echoes the headers that a preflight asks for, here to the pages of `origins` alone.

    An SDK in a page sends headers of its own (`x-stainless-*`), and new ones with each version. None of them is a
    danger: what a request may do is decided by the key that it shows, and which pages may send one by their origin.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=("*",),
            expose_headers=RESPONSE_HEADERS,
            allow_private_network=True,  # who names a page means it, wherever the service stands
            max_age=MAX_AGE_SECONDS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """200 with what is asked for; 400 for another page, another method, or what are no names of headers."""
        asked = request_headers.get("access-control-request-headers", "")
        is_refused = len(asked) > ASKED_MAX_CHARACTERS or (asked and not _ASKED.fullmatch(asked))
        response = super().preflight_response(request_headers)
        if response.status_code != 200 or is_refused:
            refused = Response("Disallowed CORS request", 400, media_type="text/plain")
            refused.headers["Vary"] = response.headers["Vary"]
            return refused
        return response

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Let a page of `origins` read the answer; another page's gets no word of it."""
        if message["type"] == "http.response.start" and not self.is_allowed_origin(request_headers.get("origin", "")):
            MutableHeaders(scope=message).add_vary_header("Origin")
            await send(message)
        else:
            await super().send(message, send, request_headers)
