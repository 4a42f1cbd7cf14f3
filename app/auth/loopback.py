"""Whether a request comes from this machine: what a service without credentials serves, and nothing else.

A proxy on this machine that changes nothing and adds nothing cannot be told from a program: who puts one before the
service sets keys. What can be told is: nginx as it is installed, and every proxy that says what it is.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Scope

from app.core.loopback import is_loopback, names_loopback

HTTP_VERSION_MIN = "1.1"
"""What browsers and client libraries speak. nginx asks the servers behind it in 1.0, under the name that its
configuration has for them, which is a local one, and tells of itself in no other way."""

_PROXYING = re.compile(
    rb"forward|prox|tunnel|(?:^|[-_])(?:via|original|real|remote|ip|clientip|addr|address|scheme|https|accel|surrogate"
    rb"|cdn|cloud|cf|cloudfront|fastly|akamai|varnish|envoy|traefik|arr|amzn|azure|fly|vercel|appengine|tailscale|ngrok"
    rb")(?:[-_]|$)|[-_]host$"
)
"""Words in the names of the headers that proxies, tunnels and content networks add. Each has names of its own for
where a request came from and how; they are made of the same words, or of the product's."""

_TELLING = frozenset({b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"})
"""Headers that say by which name the service was called, and by a page of which site. None may stand twice."""

_OWN_SITES = (None, b"none", b"same-origin", b"same-site")
"""Of Sec-Fetch-Site: no browser, what a person opened, a page of this service, one of another port of its name."""
_LINK = ("GET", b"cross-site", b"navigate", b"document")
"""A link of another site that a person has followed."""

_AUTHORITY = rb"((?:[a-z0-9_-]{1,63}\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?"
_LOCAL_HOST = re.compile(_AUTHORITY, re.IGNORECASE)
_LOCAL_ORIGIN = re.compile(rb"https?://" + _AUTHORITY, re.IGNORECASE)


def is_local(scope: Scope) -> bool:
    """Whether a program of this machine made the request, for itself.

    The connection must have come in at a loopback address, named by a loopback name: else a web page whose own name
    has been pointed here (DNS rebinding) could read the answers. A page of another site must not have sent it: a
    browser sends simple requests to any site. And no proxy must have passed it on; a Unix socket is a proxy's.
    """
    server = scope.get("server")
    if server is None or server[1] is None or not is_loopback(server[0]) or scope["http_version"] < HTTP_VERSION_MIN:
        return False
    told: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _TELLING:
            if name in told:
                return False
            told[name] = value
        elif _tells_of_a_proxy(name):
            return False
    return _names_this_machine(_LOCAL_HOST, told.get(b"host", b"")) and _is_of_this_machine(scope["method"], told)


def is_local_origin(origin: bytes) -> bool:
    """Whether `origin`, as a browser sends it, is that of a web page from this machine, at whatever port."""
    return _names_this_machine(_LOCAL_ORIGIN, origin)


def _is_of_this_machine(method: str, told: Mapping[bytes, bytes]) -> bool:
    """Whether no page of another site sent the request. To follow a link from there is no harm: the page that has it
    does not see what is shown, and nothing is changed.
    """
    if b"origin" in told:
        return is_local_origin(told[b"origin"])
    site = told.get(b"sec-fetch-site")
    request = (method, site, told.get(b"sec-fetch-mode"), told.get(b"sec-fetch-dest"))
    return site in _OWN_SITES or request == _LINK


@lru_cache(maxsize=256)
def _tells_of_a_proxy(name: bytes) -> bool:
    return _PROXYING.search(name) is not None


@lru_cache(maxsize=64)
def _names_this_machine(form: re.Pattern[bytes], text: bytes) -> bool:
    """Whether `text` has `form`, with a loopback name or address: nothing that others might read in another way."""
    found = form.fullmatch(text)
    return found is not None and names_loopback(found[1].decode("ascii").lower().strip("[]"))
