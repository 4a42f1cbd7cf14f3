"""The proxy that the environment names for a URL: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case.

Read as the standard library reads them, which is what httpx and requests lean on. Beyond it, networks in NO_PROXY
count (10.0.0.0/8), and this machine is never reached through a proxy, whether NO_PROXY says so or not: the parts of
the service talk to each other over loopback.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from app.core.errors import ConfigurationError
from app.core.loopback import names_loopback

SCHEMES = ("http", "https")
UNSPECIFIED_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104  a call to one of them stays on this machine


def proxy_for(url: str) -> str | None:
    """The URL of the proxy that calls to `url` go through, with its user and password; None when they go straight.

    Reads the environment: ask once for each server, not for each call. Raises `ConfigurationError` when the proxy's
    URL is not one that we can use; the message does not show it.
    """
    target = urlsplit(url)
    host = target.hostname or ""
    if names_loopback(host) or host in UNSPECIFIED_ADDRESSES:
        return None
    proxies = getproxies()
    found = proxies.get(target.scheme) or proxies.get("all")
    if not found or _is_excepted(host, target.port, proxies.get("no", "")):
        return None
    found = found if "://" in found else f"http://{found}"
    if not _is_usable(found):
        raise ConfigurationError(
            f"{target.scheme.upper()}_PROXY or ALL_PROXY is not http://host:port or https://host:port; "
            "SOCKS is not supported, and special characters of a password must be percent-encoded"
        )
    return found


def shown(proxy: str) -> str:
    """Host and port of a proxy's URL, for logs: without user and password."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _is_excepted(host: str, port: int | None, no_proxy: str) -> bool:
    authority = f"[{host}]" if ":" in host else host
    if proxy_bypass(authority if port is None else f"{authority}:{port}"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(_holds(entry.strip().strip("[]"), address) for entry in no_proxy.split(","))


def _holds(entry: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:  # a name
        return False


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
