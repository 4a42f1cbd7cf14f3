"""A tenant whose webhook wants into the network of the worker: every address that is not of the open Internet."""

# ruff: noqa: E501  tables
import ipaddress
import socket

import pytest

from worker.http.public_addresses import HOLDS_IPV4, SPECIAL_IPV4, is_public
from worker.webhooks import ForbiddenAddressError, public_address

REGISTRY = [
    # IANA's registries of special purposes, whole
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24",
    "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32",
    "::1/128", "::/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128",
    "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
    # Multicast, what was used once, and what nobody was given
    "224.0.0.0/4", "ff00::/8", "fec0::/10", "::/96", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/3", "6000::/3",
    "8000::/3", "a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/9",
]  # fmt: skip
NEIGHBOURS = [
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.31.195.255", "192.31.197.0",
    "192.52.192.255", "192.52.194.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "192.175.47.255",
    "192.175.49.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "93.184.216.34",
    "2000::", "2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "2003::", "2620:4f:7fff:ffff::",
    "2620:4f:8001::", "3ffe:ffff::", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2606:2800:220:1:248:1893:25c8:1946",
]  # fmt: skip


@pytest.mark.parametrize("entry", REGISTRY)
def test_no_address_of_a_special_purpose_is_public(entry: str) -> None:
    network = ipaddress.ip_network(entry)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert not is_public(str(address)), address
        assert not is_public(f"{address}%eth0" if address.version == 6 else str(address))


@pytest.mark.parametrize("address", NEIGHBOURS)
def test_the_addresses_beside_them_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("prefix", HOLDS_IPV4)
def test_an_ipv4_address_within_an_ipv6_one_is_judged_itself(prefix: str) -> None:
    base = int(ipaddress.IPv6Network(prefix)[0])
    for entry in SPECIAL_IPV4:
        for inner in (ipaddress.IPv4Network(entry)[0], ipaddress.IPv4Network(entry)[-1]):
            assert not is_public(str(ipaddress.IPv6Address(base + int(inner)))), inner
    for neighbour in NEIGHBOURS:
        if "." in neighbour:
            assert is_public(str(ipaddress.IPv6Address(base + int(ipaddress.IPv4Address(neighbour)))))


@pytest.mark.parametrize(
    "address",
    ["192.0.0.192", "::127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1", "3fff::1", "5f00::1", "2002:7f00:1::", "2002:808:808::",
     "2001:0:808:808::f7f7:f7f7", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
)  # fmt: skip
@pytest.mark.parametrize("beside", [[], ["93.184.216.34"]])
def test_a_name_that_has_one_such_address_is_not_connected_to(
    address: str, beside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in [*beside, address]]
    monkeypatch.setattr("worker.webhooks.socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ForbiddenAddressError):
        public_address("receiver.example", 443)
