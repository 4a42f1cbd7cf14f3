"""Which addresses and names are this machine's own, and which addresses are one client's."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


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


def one_client(host: str) -> str | None:
    """As whose the address `host` counts: an IPv4 address, or the /64 network that an IPv6 client has to itself.

    None for what is no address.
    """
    try:
        given = ip_address(host)
    except ValueError:
        return None
    address = getattr(given, "ipv4_mapped", None) or given
    return str(ip_network((address, 64), strict=False) if isinstance(address, IPv6Address) else address)
