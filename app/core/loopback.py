"""Which addresses and names are this machine's own."""

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def names_loopback(host: str) -> bool:
    """Whether `host`, a name in lower case or an address, is this machine's own (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost") or is_loopback(host)
