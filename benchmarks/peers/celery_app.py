"""Celery's worker: `celery -A benchmarks.peers.celery_app worker`. It imports once, in the parent of its pool.

`python -m benchmarks.peers.celery_app COUNT` fills its queue.
"""

import os
import sys

from celery import Celery  # type: ignore[import-not-found]  # it is in an environment of its own

from benchmarks.peers.model_call import ask

app = Celery("bench", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])


@app.task  # type: ignore[untyped-decorator]
def answer() -> str:
    """The job."""
    return ask()


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        app.send_task("benchmarks.peers.celery_app.answer")  # here its own name would be __main__.answer
