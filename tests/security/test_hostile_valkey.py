"""Hostile Valkey content: records that somebody else has written, read by the API and by a worker.

What they could run is tried in tests/integration/worker/test_own_jobs.py; this is what they could cost.
"""

import asyncio
import pickle
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from rq.job import Job

from app.core.contract import CITATIONS_MAX, QUERY_QUEUE, TOP_K_MAX
from app.core.event_log import Page, end_number, read_log
from app.core.events import log_key
from app.core.packed_log import PACKED_BYTES_MAX
from app.core.queue.connections import connect, connect_async
from app.core.queue.producer import JobNotFoundError, JobQueue, fetch_view, results_key
from app.core.queue.records import RECORD_BYTES_MAX, JobView
from app.core.serializer import DATA_BYTES_MAX, OPCODE_BYTES_MAX, PlainSerializer
from app.core.settings import Settings

MIB = 1 << 20
PEAK_BYTES_MAX = 64 * MIB
"""What reading one record may take at its worst; each of these took from 200 MB to 4 GB."""

CITATION = {"n": 1, "document_id": "d", "filename": "f", "page": 1, "quote": "q", "score": 1.0, "url": None}
ANSWER = {
    "answer": "a", "mode": "model", "grounded": True, "model": None, "usage": {}, "cached": None,
    "timings_ms": {"queued": 0.0, "retrieval": 0.0, "generation": 0.0, "total": 0.0},
}  # fmt: skip
HIT = {"document_id": "d", "filename": "f", "page": 1, "text": "t", "score": 1.0}


def many(item: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """One dictionary, named again and again: two or three bytes of a pickle each."""
    return [item] * count


def nested(depth: int) -> Any:
    value: Any = {"x": 1}
    for _ in range(depth):
        value = [value] * 100
    return value


PICKLES: dict[str, bytes] = {
    "a place for 268 million objects": b"\x80\x04Nr\xff\xff\xff\x0f.",
    "the same, in the first protocol": b"Np268435455\n.",
    "a million dictionaries": b"\x80\x04(" + b"}" * MIB + b"t.",
    "a million sets": b"\x80\x04(" + b"\x8f" * MIB + b"t.",
    "dictionaries up to the limit": b"\x80\x04(" + b"}" * (OPCODE_BYTES_MAX - 8) + b"t.",
    "a string longer than it is": b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little") + b"x.",
    "a string over the limit": pickle.dumps("x" * (DATA_BYTES_MAX + 1)),
    "a value within itself, ten levels of a hundred": pickle.dumps(nested(10)),
    "a hundred thousand times the same citation": pickle.dumps({**ANSWER, "citations": many(CITATION, 100_000)}),
    "citations, one too many": pickle.dumps({**ANSWER, "citations": many(CITATION, CITATIONS_MAX + 1)}),
    "a hundred thousand times the same hit": pickle.dumps({"hits": many(HIT, 100_000), "timings_ms": {}}),
    "hits, one too many": pickle.dumps({"hits": many(HIT, TOP_K_MAX + 1), "timings_ms": ANSWER["timings_ms"]}),
    "a number of a million digits": b"I" + b"9" * MIB + b"\n.",
    "depth": b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".",
}
PACKED = {
    "200 MB of one byte": zlib.compress(b"x" * (200 * MIB)),
    "packed twice": zlib.compress(zlib.compress(b"x" * (200 * MIB))),
    "never packed": b"x" * (16 * MIB),
}


@contextmanager
def measured() -> Iterator[None]:
    """Fails when what is done takes more memory than a record may."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < PEAK_BYTES_MAX, f"{peak >> 20} MiB"


def put(valkey: Redis, status: str, *, kind: str = "answer", meta: bytes | None = None, **result: bytes) -> None:
    record: Any = {"status": status, "origin": QUERY_QUEUE, "created_at": "", "retries_left": 0}
    own = PlainSerializer.dumps({"tenant": "default", "kind": kind, "retries": 0})
    record["meta"] = own if meta is None else meta
    valkey.hset(Job.key_for("j"), mapping=record)
    if result:
        valkey.xadd(results_key("j"), result)  # type: ignore[arg-type]


def by_the_api(valkey_url: str) -> JobView | None:
    async def view() -> JobView | None:
        async with connect_async(valkey_url) as valkey:
            queue = JobQueue(valkey, Settings(redis_url=SecretStr(valkey_url)))
            try:
                return await queue.view("j", tenant="default")
            except JobNotFoundError:
                return None
            finally:
                await queue.aclose()

    return asyncio.run(view())


def by_a_worker(valkey_url: str) -> JobView | None:
    with connect(valkey_url) as valkey:
        return fetch_view(valkey, "j", tenant="default")


Reader = Callable[[str], JobView | None]
READERS: list[Reader] = [by_the_api, by_a_worker]


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("read", READERS)
def test_metadata_costs_no_more_than_a_record_may(valkey: Redis, valkey_url: str, read: Reader, name: str) -> None:
    put(valkey, "queued", meta=PICKLES[name])
    with measured():
        assert read(valkey_url) is None


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("kind", ["answer", "search", "ingest"])
@pytest.mark.parametrize("read", READERS)
def test_a_result_costs_no_more_than_a_record_may(
    valkey: Redis, valkey_url: str, read: Reader, kind: str, name: str
) -> None:
    put(valkey, "finished", kind=kind, return_value=b64encode(PICKLES[name]))
    with measured():
        view = read(valkey_url)
    assert view is None or (view.result is None and view.error is not None)


@pytest.mark.parametrize("packed", [*PACKED.values(), *map(zlib.compress, PICKLES.values())], ids=[*PACKED, *PICKLES])
def test_a_compressed_result_costs_no_more_than_a_record_may(valkey: Redis, valkey_url: str, packed: bytes) -> None:
    put(valkey, "finished", packed=packed)
    with measured():
        view = by_the_api(valkey_url)
    assert view is None or (view.result is None and view.error is not None)


BOMBS = {
    **PACKED,
    "ten times as many events as there may be": zlib.compress(b"[" + b"[]," * 40_000 + b"[]]"),
    "a hundred thousand pieces": zlib.compress(b'[["answer.delta",1,"",[' + b"0," * 100_000 + b"0]]]"),
    "depth": zlib.compress(b"[" * 500_000 + b"]" * 500_000),
    "more than a log may": b"x" * (PACKED_BYTES_MAX + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_log_costs_no_more_than_a_record_may(valkey: Redis, valkey_url: str, name: str) -> None:
    valkey.set(log_key("j"), BOMBS[name])

    async def read() -> tuple[Page, int]:
        async with connect_async(valkey_url) as client:
            return await read_log(client, "j", after=0), await end_number(client, "j")

    with measured():
        assert asyncio.run(read()) == (Page([], 0), 1)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("read", READERS)
def test_a_traceback_costs_no_more_than_a_record_may(valkey: Redis, valkey_url: str, read: Reader, name: str) -> None:
    put(valkey, "failed", exc_string=b64encode(PACKED[name]))
    with measured():
        view = read(valkey_url)
    assert view is None or view.error is not None


@pytest.mark.parametrize("field", ["meta", "enqueued_at", "origin", "result", "event"])
@pytest.mark.parametrize("read", READERS)
def test_what_is_too_large_to_be_ours_stays_in_valkey(
    valkey: Redis, valkey_url: str, read: Reader, field: str
) -> None:
    large = b"x" * (RECORD_BYTES_MAX + 1)
    put(valkey, "finished" if field == "result" else "started")
    assert read(valkey_url) is not None
    if field == "result":
        valkey.xadd(results_key("j"), {"return_value": large})
    elif field == "event":
        valkey.xadd(log_key("j"), {"t": "answer.delta", "d": large})
    else:
        valkey.hset(Job.key_for("j"), field, large)
    with measured():
        assert read(valkey_url) is None


@pytest.mark.parametrize("count", [1, CITATIONS_MAX])
@pytest.mark.parametrize("read", READERS)
def test_what_is_within_the_limits_is_read(valkey: Redis, valkey_url: str, read: Reader, count: int) -> None:
    answer = {**ANSWER, "citations": [CITATION | {"quote": str(n)} for n in range(count)]}
    put(valkey, "finished", return_value=b64encode(PlainSerializer.dumps(answer)))
    view = read(valkey_url)
    assert view is not None
    assert view.error is None
