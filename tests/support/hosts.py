"""Hosts of a network of their own on this machine: network namespaces on a bridge, each with its cable to pull out.

No RST and no FIN passes a cable that is out, and neither side is told: that is what killing a process can't show.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from random import SystemRandom

NETWORK = "198.18"
"""RFC 2544 keeps it for tests of networks: nobody's own."""
LIMIT_SECONDS = 30


@cache
def unable() -> str | None:
    """Why this machine can't have such hosts, in words for whoever runs the tests; None when it can."""
    if shutil.which("ip") is None:
        return "hosts as network namespaces need `ip`: apt-get install iproute2"
    if os.geteuid() != 0:
        return "hosts as network namespaces need root"
    name = f"rq{os.getpid()}try"
    try:
        _ip("link", "add", name, "type", "bridge")
        _ip("link", "del", name)
        _ip("netns", "add", name)
        _ip("netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"this machine gives no network namespaces: {error.stderr.strip()}"
    return None


class Host:
    """A namespace with one cable to the bridge; `address` is its own, and `command` runs there."""

    def __init__(self, name: str, address: str, port: str) -> None:
        self.name = name
        self.address = address
        self._port = port

    def command(self, *words: str) -> list[str]:
        """`words` as a command on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        """Pull its cable out of the bridge."""
        _ip("link", "set", self._port, "down")

    def mend(self) -> None:
        """Put it in again."""
        _ip("link", "set", self._port, "up")


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts; this machine itself is one more on their network. They are gone at the end."""
    run = f"rq{os.getpid()}"
    net = f"{NETWORK}.{SystemRandom().randrange(1, 255)}"
    with ExitStack() as stack:
        bridge = f"{run}b"
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_gone, "link", "del", bridge)
        _ip("addr", "add", f"{net}.254/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        yield [_host(stack, bridge, f"{run}h{number}", f"{net}.{number}") for number in range(1, count + 1)]


def _host(stack: ExitStack, bridge: str, name: str, address: str) -> Host:
    _ip("netns", "add", name)
    stack.callback(_gone, "netns", "del", name)
    port = f"{name}p"
    _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("link", "set", port, "master", bridge, "up")
    for words in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
        _ip("-n", name, *words)
    _ip("-n", name, "link", "set", "lo", "up")
    return Host(name, address, port)


def _ip(*words: str) -> None:
    _run(["ip", *words])


def _gone(*words: str) -> None:
    with suppress(subprocess.CalledProcessError):
        _ip(*words)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
