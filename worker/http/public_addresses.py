"""Which addresses belong to the open Internet, from our own list: Python's changes with its version.

Held against IANA's registries as of 2025: "IPv4 Special-Purpose Address Registry"
(https://www.iana.org/assignments/iana-ipv4-special-registry), "IPv6 Special-Purpose Address Registry"
(https://www.iana.org/assignments/iana-ipv6-special-registry), and the IPv4 and IPv6 address spaces. No entry of them
is a server of somebody's, also where the registry calls it globally reachable: those are anycast for DNS and relays.
"""

import ipaddress

SPECIAL_IPV4 = (
    "0.0.0.0/8",  # this network, RFC 791
    "10.0.0.0/8",  # private, RFC 1918
    "100.64.0.0/10",  # shared behind a carrier's NAT, RFC 6598
    "127.0.0.0/8",  # loopback, RFC 1122
    "169.254.0.0/16",  # link-local, RFC 3927; the metadata of clouds
    "172.16.0.0/12",  # private, RFC 1918
    "192.0.0.0/24",  # protocol assignments, RFC 6890; 192.0.0.192 is a cloud's metadata
    "192.0.2.0/24",  # documentation, RFC 5737
    "192.31.196.0/24",  # AS112, RFC 7535
    "192.52.193.0/24",  # AMT, RFC 7450
    "192.88.99.0/24",  # 6to4 relays, RFC 7526
    "192.168.0.0/16",  # private, RFC 1918
    "192.175.48.0/24",  # AS112, RFC 7534
    "198.18.0.0/15",  # benchmarks, RFC 2544
    "198.51.100.0/24",  # documentation, RFC 5737
    "203.0.113.0/24",  # documentation, RFC 5737
    "224.0.0.0/4",  # multicast, RFC 5771
    "240.0.0.0/4",  # reserved, RFC 1112, and broadcast, RFC 919
)
GLOBAL_UNICAST = "2000::/3"
"""All of IPv6 that IANA gives out (RFC 4291); loopback, mapped and local addresses lie beside it."""
SPECIAL_IPV6 = (
    "2001::/23",  # protocol assignments, RFC 2928: Teredo, benchmarks, AMT, AS112, ORCHID, DRIP
    "2001:db8::/32",  # documentation, RFC 3849
    "2002::/16",  # 6to4, RFC 3056: any IPv4 address in it
    "2620:4f:8000::/48",  # AS112, RFC 7534
    "3fff::/20",  # documentation, RFC 9637
)
HOLDS_IPV4 = ("::ffff:0:0/96", "64:ff9b::/96")
"""IPv4 in the last 32 bits: mapped (RFC 4291), and translated where a network has NAT64 (RFC 6052)."""

_SPECIAL_IPV4 = tuple(map(ipaddress.IPv4Network, SPECIAL_IPV4))
_SPECIAL_IPV6 = tuple(map(ipaddress.IPv6Network, SPECIAL_IPV6))
_GLOBAL_UNICAST = ipaddress.IPv6Network(GLOBAL_UNICAST)
_HOLDS_IPV4 = tuple(map(ipaddress.IPv6Network, HOLDS_IPV4))


def is_public(address: str) -> bool:
    """Whether `address`, IPv4 or IPv6, is one of the open Internet. Raises `ValueError` when it is none."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if not any(parsed in network for network in _HOLDS_IPV4):
            return parsed in _GLOBAL_UNICAST and not any(parsed in network for network in _SPECIAL_IPV6)
        parsed = ipaddress.IPv4Address(parsed.packed[12:])
    return not any(parsed in network for network in _SPECIAL_IPV4)
