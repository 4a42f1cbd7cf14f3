"""Plain data across the queue: pickles that a stock RQ worker reads, read back without ever running code.

RQ's default is `pickle`, and reading a pickle can call anything. This one writes pickles of plain data and
refuses every global while reading, so that whoever can write to Valkey can't make the API or our worker run code.
"""

import io
import pickle
from typing import Any, NoReturn

import orjson


class _PlainUnpickler(pickle.Unpickler):
    """Reads None, booleans, numbers, strings, bytes, lists, tuples, sets and dictionaries; nothing else."""

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
        """The plain data in `data`. Raises `pickle.UnpicklingError` for anything else."""
        try:
            return _PlainUnpickler(io.BytesIO(data)).load()
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # a hostile pickle makes the reader raise nearly anything
            raise pickle.UnpicklingError("not a pickle of plain data") from error


def _refuse(value: Any) -> Any:
    if isinstance(value, bytes):
        return None
    if type(value) is tuple:
        return list(value)
    raise TypeError(f"only plain data crosses the queue, not {type(value).__name__}")
