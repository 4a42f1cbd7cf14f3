"""Loopback ports for the embedded services."""

import socket

from app.core.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


def free_port(preferred: int) -> int:
    """`preferred` when nothing listens there, else a port that the system chooses."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigurationError("no loopback port is free")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`. Raises `ConfigurationError` when it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: only then does asyncio switch off Nagle's algorithm, which costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"can't listen on {host}:{port} ({error.strerror}); set PORT or HOST to another, e.g. PORT={port + 1}"
        ) from error
    return listener
