"""Forms of what stands in an address: a prefix of our paths, and a host."""

import re

PREFIX_MAX_CHARACTERS = 256
HOST_MAX_CHARACTERS = 262
"""A name of 255 characters, a colon and a port."""

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?")
"""Segments that need no encoding, none of them one that leads up or nowhere."""
_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII
)


def is_prefix(text: str) -> bool:
    """Whether `text` is a path that may go before ours; it may end with a slash."""
    return len(text) <= PREFIX_MAX_CHARACTERS and _PREFIX.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether `text` is a host's name or address, with or without a port."""
    return len(text) <= HOST_MAX_CHARACTERS and _HOST.fullmatch(text) is not None
