"""What a finished question takes of Valkey's memory: `python -m benchmarks.memory`, key by key.

A real worker answers `--questions`, asked as an API asks them, with a model that streams: an answer of some 80 words
that cites two pages. Then, beside each other:

- bytes by key: `MEMORY USAGE` of every key, by the pattern of its name, as a mean of the questions
- bytes in all: by how much `used_memory` has grown, which has Valkey's own tables in it
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from app.core.queue.outbox import OPEN
from benchmarks.support import Site, open_site, quiet_logs, write_json
from tests.support.documents import add_document
from tests.support.processes import wait_until
from worker.index.vector_index import open_index

QUESTION = "What should the lighthouse keeper do when fog comes in from the western harbour at night?"
PAGES = (
    "When fog comes in from the western harbour at night, the lighthouse keeper should sound the horn every ninety "
    "seconds, raise the amber lamp on the seaward gallery, wake the relief crew, and write the hour and the height "
    "of the tide into the blue logbook.",
    "The lighthouse keeper should, when fog comes in from the western harbour at night, ring the harbour office "
    "twice, close the lower stair to visitors, keep a watch of two hours at the eastern window, and hand over only "
    "to somebody who has slept and who knows the channel.",
)
"""Two statements that answer equally well: the stand-in for a model gives both, each with its source."""
MODEL = "test-ttft=200ms-gap=20ms"
"""Written at the pace of a hosted model: some forty events."""
CONCURRENCY = 64
SECONDS_MAX = 600
AIM_BYTES = 3 * 1024

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Row:
    """Keys of one pattern: how many there are, and their bytes by question."""

    pattern: str
    keys: int
    bytes: float


def by_pattern(valkey: Redis, keys: Iterable[bytes], questions: int) -> list[Row]:
    """What `keys` take by the pattern of their names, the most first."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    client: Any = valkey
    for key in keys:
        counted = sums[_ID.sub("ID", key.decode())]
        counted[0] += 1
        counted[1] += client.memory_usage(key, samples=0) or 0
    rows = [Row(pattern, count, total / questions) for pattern, (count, total) in sums.items()]
    return sorted(rows, key=lambda row: -row.bytes)


def answer(site: Site, count: int) -> list[str]:
    """Have so many questions answered; their ids."""
    ids = site.submit(count, query=QUESTION)
    wait_until(lambda: not site.connection.scard(OPEN), "all are answered", seconds=SECONDS_MAX)
    return ids


def measure(site: Site, count: int) -> tuple[list[Row], float]:
    """By key and in all, bytes by question."""
    with closing(open_index(site.settings)) as index:
        add_document(index, *PAGES, document_id="lighthouse", filename="lighthouse.pdf")
    with site.worker(CHAT_MODEL=MODEL, WORKER_CONCURRENCY=CONCURRENCY) as worker:
        site.wait_for_worker(worker)
        answer(site, CONCURRENCY)  # what is there once, scripts and lists of workers
        before = set(site.connection.scan_iter(count=1000))
        used = _used(site.connection)
        answer(site, count)
        grown = (_used(site.connection) - used) / count
        new = set(site.connection.scan_iter(count=1000)) - before
        shared = [key for key in before if key.startswith((b"rq:finished:", b"rag:ended"))]
        rows = by_pattern(site.connection, new, count)
        return rows + by_pattern(site.connection, shared, count + CONCURRENCY), grown


def _used(valkey: Redis) -> int:
    memory: Any = valkey.info("memory")
    return int(memory["used_memory"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    quiet_logs()
    with open_site() as site:
        rows, grown = measure(site, arguments.questions)
    for row in rows:
        print(f"{row.pattern:40}{row.keys:8}{row.bytes:10.0f}")
    total = sum(row.bytes for row in rows)
    print(f"{'by key':40}{'':8}{total:10.0f}   aim: {AIM_BYTES}, {'met' if total <= AIM_BYTES else 'NOT MET'}")
    print(f"{'used_memory':40}{'':8}{grown:10.0f}")
    if arguments.json:
        write_json(arguments.json, {"rows": [asdict(row) for row in rows], "by_key": total, "used_memory": grown})


if __name__ == "__main__":
    main()
