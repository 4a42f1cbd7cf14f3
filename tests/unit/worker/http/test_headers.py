"""The head of a response is read as the standard library reads it, usual or not."""

import socket
from http.client import HTTPException, HTTPResponse

import pytest

from worker.http.headers import Response

OK = b"HTTP/1.1 200 OK\r\n"
HEADS = {
    "none": OK + b"\r\n",
    "usual": OK + b"Content-Type: application/json\r\nContent-Length: 5\r\nX-Empty:\r\n\r\n",
    "in any case, without white space, or with much of it": OK + b"CONTENT-LENGTH:5\r\nx-a: \t b c \t\r\n\r\n",
    "lines of one character": OK + b"Content-Length: 5\nX: y\n\n",
    "chunked": OK + b"Transfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n",
    "several of a name": OK + b"Content-Length: 5\r\nA: 1\r\na: 2\r\nContent-Length: 6\r\n\r\n",
    "closing": OK + b"Connection: Keep-Alive, Close\r\nContent-Length: 5\r\n\r\n",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    "old and kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
    "older": b"HTTP/0.9 200\r\n\r\n",
    "newer": b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\n",
    "another protocol": b"HTTP/2 200 OK\r\n\r\n",
    "no protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of none": b"HTTP/1.1 0200 OK\r\n\r\n",
    "no answer": b"",
    "no content": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "continued": b"HTTP/1.1 100 Continue\r\nX: no\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a length that is none": OK + b"Content-Length: many\r\n\r\n",
    "a length below nothing": OK + b"Content-Length: -5\r\n\r\n",
    "an odd length": OK + b"Content-Length: +1_0\r\n\r\n",
    "letters beyond ASCII": OK + b"X: caf\xe9\r\nContent-Length: 5\r\n\r\n",
    "folded": OK + b"X: a\r\n b\r\n\tc\r\nContent-Length: 5\r\n\r\n",
    "folded from the first": OK + b" X: a\r\nContent-Length: 5\r\n\r\n",
    "no colon": OK + b"Content-Length: 5\r\nnonsense\r\nTransfer-Encoding: chunked\r\n\r\n",
    "no name": OK + b": x\r\nContent-Length: 5\r\n\r\n",
    "white space before the colon": OK + b"Content-Length : 5\r\n\r\n",
    "a name with a letter beyond ASCII": OK + b"\xe9: x\r\nContent-Length: 5\r\n\r\n",
    "a line within a line": OK + b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "a mail": OK + b"From me\r\nContent-Length: 5\r\n\r\n",
    "controls": OK + b"X: a\x00\x0b\x0c\x1c\x85b\r\nContent-Length: 5\r\n\r\n",
    "parts": OK + b"Content-Type: multipart/mixed; boundary=x\r\nContent-Length: 5\r\n\r\n",
    "cut off": OK + b"Content-Length: 5\r\nX-",
    "a long line": OK + b"X: " + b"a" * 65_536 + b"\r\n\r\n",
    "many lines": OK + b"X: a\r\n" * 100 + b"\r\n",
    "as many as may be": OK + b"X: a\r\n" * 99 + b"\r\n",
}


def read(kind: type[HTTPResponse], head: bytes) -> object:
    """All that is known of a response by its head, and what it then gives of its body; or what is raised."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(head + b"5\r\nhello\r\n0\r\n\r\n")
        theirs.shutdown(socket.SHUT_WR)
        response = kind(ours, method="GET")
        try:
            response.begin()
        except HTTPException as error:
            return type(error), str(error)
        names = ("Content-Length", "content-type", "x", "A", "connection", "transfer-encoding", "nothing")
        said = [*map(response.headers.get, names), list(response.headers.items())]
        about = (response.status, response.reason, response.version, response.chunked, response.length)
        try:
            body: object = response.read()
        except HTTPException as error:
            body = type(error)
        return said, about, response.will_close, response.isclosed(), body


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_is_read_as_the_standard_library_reads_it(kind: str) -> None:
    assert read(Response, HEADS[kind]) == read(HTTPResponse, HEADS[kind])
