"""What is done for every request, whatever its route. Plain ASGI: Starlette's BaseHTTPMiddleware breaks streams."""

from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.core.settings import Settings
from app.middleware.access_log import AccessLogMiddleware
from app.middleware.cors import PageMiddleware
from app.middleware.request_id import RequestIdMiddleware
from app.middleware.safe_headers import SafeHeadersMiddleware


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
        app = PageMiddleware(app, settings.cors_origins)
    app = RequestIdMiddleware(AccessLogMiddleware(SafeHeadersMiddleware(app)))
    if settings.trusted_proxies:
        # uvicorn's own, which it may run with as well: then FORWARDED_ALLOW_IPS says whom it trusts.
        app = ProxyHeadersMiddleware(app, trusted_hosts=list(settings.trusted_proxies))  # type: ignore[arg-type, assignment]
    return app
