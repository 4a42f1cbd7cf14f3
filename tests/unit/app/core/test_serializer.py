"""Plain data crosses the queue; code never does."""

import collections
import os
import pickle

import pytest

from app.core.serializer import PlainSerializer


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    "data", [None, True, 1.5, "ä\x00", b"\xff", [1], {"a": (1, {"b": None})}, ("f", None, ({},), {})]
)
def test_plain_data_comes_back_as_it_was(data: object) -> None:
    assert PlainSerializer.loads(PlainSerializer.dumps(data)) == data


def test_a_stock_worker_reads_what_is_written() -> None:
    assert pickle.loads(PlainSerializer.dumps(("worker.jobs.answer_question", None, ({"query": "?"},), {})))


@pytest.mark.parametrize("hostile", [Payload(), collections.OrderedDict(a=1), os.getcwd, Payload])
def test_a_pickle_that_names_code_is_refused_unread(hostile: object) -> None:
    with pytest.raises(pickle.UnpicklingError):
        PlainSerializer.loads(pickle.dumps(hostile))


@pytest.mark.parametrize(
    "garbage", [b"", b"\x80", b"\x80\x05.", b"garbage", b"\x80\x05]\x94(e", b"(" * 1000, b"0", b"h\x00."]
)
def test_garbage_is_refused_with_one_kind_of_error(garbage: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        PlainSerializer.loads(garbage)


@pytest.mark.parametrize("value", [object(), {"x": Payload()}, {1, 2}, collections.OrderedDict(a=1)])
def test_what_could_not_be_read_back_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        PlainSerializer.dumps(value)
