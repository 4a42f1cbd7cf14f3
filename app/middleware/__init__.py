"""What is done for every request, whatever its route. Plain ASGI: Starlette's BaseHTTPMiddleware breaks streams."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from app.core.settings import Settings
from app.core.tracing.process import tracing
from app.middleware.access_log import AccessLogMiddleware, Count
from app.middleware.addresses import ForwardedMiddleware, PublicUrlMiddleware
from app.middleware.cors import PageMiddleware
from app.middleware.request_id import RequestIdMiddleware
from app.middleware.request_span import RequestSpanMiddleware
from app.middleware.safe_headers import SafeHeadersMiddleware


def install(app: FastAPI, settings: Settings, count: Count | None = None) -> None:
    """Wrap `app` whole. `count` is told of each request.

    Not with `add_middleware`, which puts them inside the one that answers unexpected errors: a 500 would have neither
    id nor log line.
    """
    build = app.build_middleware_stack

    def build_wrapped() -> ASGIApp:
        return _wrapped(build(), settings, count)

    app.build_middleware_stack = build_wrapped  # type: ignore[method-assign]


def _wrapped(app: ASGIApp, settings: Settings, count: Count | None) -> ASGIApp:
    if settings.cors_origins:
        app = PageMiddleware(app, settings.cors_origins)
    if settings.public_url is not None:
        app = PublicUrlMiddleware(app, settings.public_url)
    app = AccessLogMiddleware(SafeHeadersMiddleware(app), count)
    if tracing().is_on:
        app = RequestSpanMiddleware(app)
    app = RequestIdMiddleware(app)
    if settings.trusted_proxies:
        # uvicorn's own, which it may run with as well: then FORWARDED_ALLOW_IPS says whom it trusts.
        app = ForwardedMiddleware(app, settings.trusted_proxies)
    return app
