"""Whether a request comes from this machine: what a service without credentials serves, and nothing else."""

from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import Scope

from app.core.loopback import is_loopback, names_loopback

_FORWARDING = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
"""What a proxy adds: the request was made elsewhere."""


def is_local(scope: Scope) -> bool:
    """Whether a program of this machine made the request, for itself.

    The connection must have come in at a loopback address, named by a loopback name: else a web page whose own name
    has been pointed here (DNS rebinding) could read the answers. A page of another site must not have sent it: a
    browser sends simple POSTs to any site. And no proxy must have passed it on; a Unix socket is a proxy's.
    """
    server = scope.get("server")
    if server is None or server[1] is None or not is_loopback(server[0]):
        return False
    host = b""
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name in _FORWARDING or (name == b"origin" and not _is_loopback_origin(value)):
            return False
    return _is_loopback_authority(host)


@lru_cache(maxsize=64)
def _is_loopback_authority(authority: bytes) -> bool:
    """Whether a Host header's value, e.g. `localhost:8000` or `[::1]`, names this machine."""
    return _names_loopback(b"//" + authority)


@lru_cache(maxsize=64)
def _is_loopback_origin(origin: bytes) -> bool:
    return _names_loopback(origin)


def _names_loopback(url: bytes) -> bool:
    try:
        return names_loopback(urlsplit(url.decode("ascii")).hostname or "")
    except ValueError:  # UnicodeDecodeError is one
        return False
