"""A response whose headers are read without the standard library's parser of mail, which costs more than the rest.

What is not of the usual form, a name and a value on one line, is left to that parser: it knows what to make of it.
"""

import re
import socket
from http.client import HTTPException, HTTPMessage, HTTPResponse, LineTooLong, UnknownProtocol, parse_headers
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, cast

LINE_BYTES_MAX = 65_536
HEADERS_MAX = 100
"""Both are `http.client`'s own limits; the second counts the empty line that ends them."""
CONTINUE = 100
WITHOUT_BODY = (204, 304)

_USUAL = re.compile(rb"([!-9;-~]+):[ \t]*([^\r\n]*)\r?\n")


class Headers:
    """What `HTTPMessage` offers to who reads it: names in any case, and of several of one name the first."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._first: dict[str, str] = {}
        for name, value in pairs:
            self._first.setdefault(name.lower(), value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of the first header of that name."""
        return self._first.get(name.lower(), default)

    def items(self) -> list[tuple[str, str]]:
        """All of them, in their order."""
        return self._pairs


class _Incoming(RawIOBase):
    """What comes over a socket, which stays open. Raises `TimeoutError` for either kind of time-out.

    The standard library's own takes the kernel's time-out for the end of what comes.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _: str) -> BufferedReader:
        """Overrides nothing: how `HTTPResponse` asks a socket for it."""
        return BufferedReader(self)

    def readable(self) -> bool:
        """Overrides the standard library."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Overrides the standard library."""
        try:
            return self._sock.recv_into(buffer)
        except BlockingIOError as error:
            raise TimeoutError from error


class Response(HTTPResponse):
    """As the standard library's, for any method but HEAD and CONNECT."""

    def __init__(self, sock: socket.socket, method: str) -> None:
        super().__init__(cast(socket.socket, _Incoming(sock)), method=method)

    def begin(self) -> None:
        """Overrides the standard library: as it reads the head of a response, but for the parser."""
        if self.headers is not None:
            return
        status = CONTINUE
        while status == CONTINUE:
            version, status, reason = self._read_status()
            lines = self._header_lines()
        self.code = self.status = status
        self.reason = reason.strip()
        is_old = version in ("HTTP/1.0", "HTTP/0.9")
        if not is_old and not version.startswith("HTTP/1."):
            raise UnknownProtocol(version)
        self.version = 10 if is_old else 11
        self.headers = self.msg = _parsed(lines)
        self.chunked = (self.headers.get("transfer-encoding") or "").lower() == "chunked"
        self.chunk_left = None
        self.will_close = self._check_close()
        self.length = None if self.chunked else _length(self.headers.get("content-length"))
        if status in WITHOUT_BODY or 100 <= status < 200:
            self.length = 0
        self.will_close = self.will_close or (not self.chunked and self.length is None)

    def _header_lines(self) -> list[bytes]:
        """Up to the empty line. Raises `HTTPException` when they are too many, or too long."""
        lines: list[bytes] = []
        while not lines or lines[-1] not in (b"\r\n", b"\n", b""):
            lines.append(self.fp.readline(LINE_BYTES_MAX + 1))
            if len(lines[-1]) > LINE_BYTES_MAX:
                raise LineTooLong("header line")
            if len(lines) > HEADERS_MAX:
                raise HTTPException(f"got more than {HEADERS_MAX} headers")
        return lines


def _parsed(lines: list[bytes]) -> HTTPMessage:
    pairs = []
    for line in lines[:-1]:
        usual = _USUAL.fullmatch(line)
        if usual is None:
            return parse_headers(BytesIO(b"".join(lines)))
        pairs.append((usual[1].decode("latin-1"), usual[2].decode("latin-1")))
    return cast(HTTPMessage, Headers(pairs))


def _length(said: str | None) -> int | None:
    try:
        length = int(said) if said else None
    except ValueError:
        return None
    return length if length is None or length >= 0 else None
