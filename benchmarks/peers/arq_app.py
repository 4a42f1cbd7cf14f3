"""arq's worker: `arq benchmarks.peers.arq_app.WorkerSettings`.

`python -m benchmarks.peers.arq_app COUNT` fills its queue.
"""

import asyncio
import os
import sys
from typing import Any, ClassVar

from arq import create_pool  # type: ignore[import-not-found]  # it is in an environment of its own
from arq.connections import RedisSettings  # type: ignore[import-not-found]

from benchmarks.peers.model_call import ask_async

REDIS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def answer(context: dict[Any, Any]) -> str:
    """The job."""
    return await ask_async()


class WorkerSettings:
    """What `arq` reads."""

    functions: ClassVar = [answer]
    redis_settings = REDIS
    max_jobs = 64


async def fill(count: int) -> None:
    """Put `count` jobs on the queue."""
    pool = await create_pool(REDIS)
    for _ in range(count):
        await pool.enqueue_job("answer")
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
