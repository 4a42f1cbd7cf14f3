"""Under which address the client knows the service: PUBLIC_URL, or what a trusted proxy says of it.

X-Forwarded-For and -Proto are uvicorn's to read; this is the rest: X-Forwarded-Prefix, the part of the path that the
proxy has taken away, and X-Forwarded-Host. Like `uvicorn --root-path`, it ends in the scope's `root_path`, with which
`path` begins then, as ASGI has it.
"""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.core.addresses import is_host, is_prefix


class PublicUrlMiddleware:
    """The service is at `public_url`, whoever asks by whatever way; no header says otherwise."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._prefix = urlsplit(public_url).path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on under the path of `public_url`."""
        if scope["type"] == "http":
            set_prefix(scope, self._prefix)
        await self._app(scope, receive, send)


class ForwardedMiddleware:
    """Believes X-Forwarded-Prefix and X-Forwarded-Host of the proxies that uvicorn's middleware is told to trust.

    To be put around that one, which makes the client's address of the proxy's. What stands twice, or has not the form
    of a path or a host, is not believed.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        inner = ProxyHeadersMiddleware(app, trusted_hosts=list(trusted))  # type: ignore[arg-type]
        self._app: ASGIApp = inner  # type: ignore[assignment]
        self._trusted = inner.trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with the prefix and the host that the client knows."""
        client = scope.get("client")
        if scope["type"] == "http" and client is not None and client[0] in self._trusted:
            prefix = _one(scope, b"x-forwarded-prefix", is_prefix)
            if prefix is not None:
                set_prefix(scope, prefix.rstrip("/"))
            host = _one(scope, b"x-forwarded-host", is_host)
            if host is not None:
                scope.setdefault("state", {})["forwarded_host"] = host
        await self._app(scope, receive, send)


def set_prefix(scope: Scope, prefix: str) -> None:
    """Serve the request under `prefix`, which has been taken away from its path, instead of another one."""
    before: str = scope.get("root_path", "")
    path: str = scope["path"]
    scope["root_path"] = prefix
    scope["path"] = prefix + path.removeprefix(before)


def _one(scope: Scope, header: bytes, is_right: Callable[[str], bool]) -> str | None:
    found = [value for name, value in scope["headers"] if name == header]
    text = found[0].decode("latin-1").strip() if len(found) == 1 else ""
    return text if text and is_right(text) else None
