"""Plain data across the queue: pickles that a stock RQ worker reads, read back without ever running code.

RQ's default is `pickle`, and reading a pickle can call anything, or take 4 GB for what eleven bytes ask for. This one
writes pickles of plain data, and looks at each opcode that it is to read before Python's reader does: so that whoever
can write to Valkey makes the API or our worker neither run code nor run out of memory.
"""

import io
import pickle
import re
from typing import Any, NoReturn

import orjson

DATA_BYTES_MAX = 4 << 20
"""Of one value. Fifty chunks that a search has found are half a megabyte."""

OPCODE_BYTES_MAX = 256 << 10
"""Of a value beside its strings: each byte may be a dictionary, of 64 bytes. A list of 20,000 pages has 60 kB."""

_FIXED = re.compile(
    rb"""(?:
        [\x94N\x88\x89\]})(aeust\x85\x86\x87]++  # kept for later; None, True, False; lists, dictionaries, tuples
      | h. | j.{4}                                 # what was kept; not: keep it in a place with a number
      | K. | M.{2} | J.{4} | G.{8}                 # an integer of 1, 2 or 4 bytes, a float
      | \x80[\x02-\x05] | \x95.{8}                # the protocol, a frame
    )*+""",
    re.VERBOSE | re.DOTALL,
)
"""Opcodes of one length, with their operands (CPython's Lib/pickletools.py lists them)."""

_SHORT, _STOP = 0x8C, ord(".")
_SIZED = {_SHORT: 1, ord("X"): 4, 0x8D: 8, ord("C"): 1, ord("B"): 4, 0x8E: 8, 0x8A: 1}
"""Strings, bytes and long integers, each with how many bytes say how many follow, the lowest first."""


class _PlainUnpickler(pickle.Unpickler):
    """Reads None, booleans, numbers, strings, bytes, lists, tuples and dictionaries; nothing else."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError("this pickle names a class or a function; only plain data is read")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("this pickle refers outside itself; only plain data is read")


class PlainSerializer:
    """An RQ serializer (`rq.serializers.Serializer`) for plain data."""

    @staticmethod
    def dumps(obj: Any) -> bytes:
        """Pickle `obj`. Raises `TypeError` when it holds anything that `loads` would refuse."""
        orjson.dumps(obj, default=_refuse, option=orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_NON_STR_KEYS)
        return pickle.dumps(obj, protocol=pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def loads(data: bytes) -> Any:
        """The plain data in `data`. Raises `pickle.UnpicklingError` for anything else, or more than the limits."""
        if not _is_plain(data):
            raise pickle.UnpicklingError("not a pickle of plain data, or too large")
        try:
            return _PlainUnpickler(io.BytesIO(data)).load()
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # a hostile pickle makes the reader raise nearly anything
            raise pickle.UnpicklingError("not a pickle of plain data") from error


def _is_plain(data: bytes) -> bool:
    """Whether `data` holds, up to its end, only opcodes that `dumps` writes, and few enough bytes of each kind."""
    at = opcodes = 0
    last = len(data) - 1
    if last >= DATA_BYTES_MAX or data[-1:] != b".":
        return False
    while True:
        end = _FIXED.match(data, at).end()  # type: ignore[union-attr]  # it matches the empty string
        opcodes += end - at
        opcode = data[end] if end < last else _STOP
        if opcode == _SHORT:  # nearly every string: that it is by itself makes this loop a third faster
            at = end + 2 + data[end + 1]
        elif opcode in _SIZED:
            at = end + 1 + _SIZED[opcode]
            at += int.from_bytes(data[end + 1 : at], "little")
        else:
            return end == last and opcodes <= OPCODE_BYTES_MAX


def _refuse(value: Any) -> Any:
    if isinstance(value, bytes):
        return None
    if type(value) is tuple:
        return list(value)
    raise TypeError(f"only plain data crosses the queue, not {type(value).__name__}")
