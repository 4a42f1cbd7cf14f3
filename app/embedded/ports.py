"""Ports to listen on, on loopback or elsewhere. It imports nothing slow: the embedded Qdrant starts with it."""

import socket

LOOPBACK = "127.0.0.1"


class CannotListenError(Exception):
    """A port is taken, or an address is not this machine's. The message says which; the caller adds the way out."""


def free_port(preferred: int) -> int:
    """`preferred` when nothing listens there, else a port that the system chooses. Raises `CannotListenError`."""
    try:
        probe = listen(LOOPBACK, preferred)
    except CannotListenError:
        probe = listen(LOOPBACK, 0)
    with probe:
        return int(probe.getsockname()[1])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`; port 0 takes any free one. Raises `CannotListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: only then does asyncio switch off Nagle's algorithm, which costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # else two who start at once both have the port, and one of them finds out too late
    except OSError as error:
        listener.close()
        raise CannotListenError(f"can't listen on {host}:{port} ({error.strerror})") from error
    return listener
