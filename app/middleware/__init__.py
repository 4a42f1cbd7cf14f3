"""What is done for every request, whatever its route. Plain ASGI: Starlette's BaseHTTPMiddleware breaks streams."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.core.settings import Settings
from app.middleware.access_log import AccessLogMiddleware
from app.middleware.request_id import RequestIdMiddleware
from app.middleware.safe_headers import SafeHeadersMiddleware

CORS_METHODS = ("GET", "HEAD", "POST", "DELETE")
CORS_REQUEST_HEADERS = (
    "Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "Prefer", "Last-Event-ID", "Range",
    "If-Range", "If-None-Match", "X-Request-ID",
)  # fmt: skip
CORS_RESPONSE_HEADERS = (
    "Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied", "RateLimit", "RateLimit-Policy",
    "Content-Disposition", "Content-Range", "Accept-Ranges", "ETag", "X-Request-ID",
)  # fmt: skip


def install(app: FastAPI, settings: Settings) -> None:
    """Wrap `app` whole.

    Not with `add_middleware`, which puts them inside the one that answers unexpected errors: a 500 would have neither
    id nor log line.
    """
    build = app.build_middleware_stack

    def build_wrapped() -> ASGIApp:
        return _wrapped(build(), settings)

    app.build_middleware_stack = build_wrapped  # type: ignore[method-assign]


def _wrapped(app: ASGIApp, settings: Settings) -> ASGIApp:
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_RESPONSE_HEADERS,
        )
    app = RequestIdMiddleware(AccessLogMiddleware(SafeHeadersMiddleware(app)))
    if settings.trusted_proxies:
        # uvicorn's own, which it may run with as well: then FORWARDED_ALLOW_IPS says whom it trusts.
        app = ProxyHeadersMiddleware(app, trusted_hosts=list(settings.trusted_proxies))  # type: ignore[arg-type, assignment]
    return app
