"""What RQ compresses in a job's record, unpacked within a limit: a few bytes can hold gigabytes."""

import zlib

UNPACKED_BYTES_MAX = 1 << 20
"""Of a payload or a traceback: the API takes bodies of 256 KiB."""


def unpacked(data: bytes) -> bytes:
    """`data` as it was before RQ compressed it, if it did, cut at the limit; b"" when RQ would unpack that again."""
    if len(data) > UNPACKED_BYTES_MAX:
        return b""
    try:
        plain = zlib.decompressobj().decompress(data, UNPACKED_BYTES_MAX)
    except zlib.error:
        plain = data
    return b"" if _is_packed(plain) else plain


def _is_packed(data: bytes) -> bool:
    """Whether `data` begins as zlib's does (RFC 1950, 2.2): RQ would unpack it without a limit."""
    return len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
