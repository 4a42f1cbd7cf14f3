"""Bodies that come packed unasked: what they unpack to however they are cut, and what is refused."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from tests.support.model_manners import deflated
from worker.http.packed import UnpackingError, unpacked

BODY = b"data: hello\n\n" * 20_000
MAX = 2**20
WAYS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", deflated),
]


@pytest.mark.parametrize(("encoding", "pack"), WAYS)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_body_is_unpacked_however_it_is_cut(encoding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    packed = pack(BODY)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpacked(pieces, encoding, MAX)) == BODY


def test_what_is_flushed_is_given_before_the_next_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(b"one") + packer.flush(zlib.Z_SYNC_FLUSH), packer.compress(b"two") + packer.flush()]
    given = unpacked(pieces, "gzip", MAX)
    assert next(given) == b"one"
    assert b"".join(given) == b"two"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"x"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x"))),
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(BODY)[:-9]),
        ("deflate", b"\xff\xff"),
        ("gzip", gzip.compress(b"\0" * (MAX + 1))),
    ],
    ids=["unknown", "twice", "another", "cut", "broken", "bomb"],
)
def test_what_can_not_be_read_is_refused(encoding: str, body: bytes) -> None:
    with pytest.raises(UnpackingError):
        b"".join(unpacked([body], encoding, MAX))
