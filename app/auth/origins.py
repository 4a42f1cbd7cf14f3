"""Which page a browser sends a request for: a cookie goes along with those of other pages as well.

Browsers tell of the page in Sec-Fetch-Site, over https and to this machine; elsewhere Origin does, which every
browser sends with what is not GET or HEAD. A page can set neither. What stands twice is not believed.
"""

from urllib.parse import urlsplit

from starlette.requests import Request

from app.auth.principals import OtherSiteError
from app.request_headers import known_url

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Those that change nothing: who may not read the answer gains nothing by them."""
_PORTS = {"http": 80, "https": 443}


def check_own_page(request: Request, public_url: str | None) -> None:
    """Raises `OtherSiteError` unless a page of this service has sent the request."""
    if not _is_of_own_page(request, public_url):
        raise OtherSiteError


def check_no_other_page(request: Request, public_url: str | None) -> None:
    """The same, but for programs and for what a person has opened: those show no page at all."""
    sites, origins = _told(request)
    if sites == ["none"] or not (sites or origins):
        return
    check_own_page(request, public_url)


def _is_of_own_page(request: Request, public_url: str | None) -> bool:
    sites, origins = _told(request)
    if sites:
        return sites == ["same-origin"]
    own = _origin(known_url(request, public_url))
    return len(origins) == 1 and own is not None and _origin(origins[0]) == own


def _told(request: Request) -> tuple[list[str], list[str]]:
    return request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port (RFC 6454); None for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
