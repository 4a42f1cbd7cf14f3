"""Bodies that come packed though we ask for none: gzip and deflate (RFC 9110, 8.4.1), within a bound."""

import zlib
from collections.abc import Iterable, Iterator

GZIP_WINDOW = 16 + zlib.MAX_WBITS
RAW_WINDOW = -zlib.MAX_WBITS
ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
PIECE_BYTES = 65_536
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31
"""How zlib's two bytes of header are known (RFC 1950, 2.2). Some servers send deflate without them."""


class UnpackingError(Exception):
    """The body is packed in a way that we do not know, is broken, or is too long."""


def unpacked(pieces: Iterable[bytes], encoding: str, bytes_max: int) -> Iterator[bytes]:
    """What `pieces` unpack to, as they come. Raises `UnpackingError`, also for more than `bytes_max` bytes."""
    if encoding not in ENCODINGS:
        raise UnpackingError("an unknown Content-Encoding")
    reader = None
    total = 0
    for packed in pieces:
        reader = reader or zlib.decompressobj(_window(encoding, packed))
        is_left = True
        while is_left:
            try:
                piece = reader.decompress(packed, PIECE_BYTES)
            except zlib.error as error:
                raise UnpackingError("not what its Content-Encoding says") from error
            total += len(piece)
            if total > bytes_max:
                raise UnpackingError(f"more than {bytes_max} bytes")
            if piece:
                yield piece
            packed = reader.unconsumed_tail
            is_left = bool(packed) or len(piece) == PIECE_BYTES
    if reader is not None and not reader.eof:
        raise UnpackingError("cut off")


def _window(encoding: str, begin: bytes) -> int:
    if encoding != "deflate":
        return GZIP_WINDOW
    is_zlib = begin[0] & 15 == _ZLIB_METHOD and (len(begin) < 2 or (begin[0] * 256 + begin[1]) % _ZLIB_CHECK == 0)
    return zlib.MAX_WBITS if is_zlib else RAW_WINDOW
