"""The job of a stock `rq worker`. It imports LangChain in each fork, since nothing has imported it before."""

from redis import Redis
from rq import Queue

QUEUE = "bench"


def answer() -> str:
    """The job."""
    from benchmarks.peers.model_call import ask

    return ask()


def fill(redis_url: str, count: int) -> None:
    """Put `count` jobs on the queue."""
    with Redis.from_url(redis_url) as connection:
        jobs = [Queue.prepare_data(answer) for _ in range(count)]
        Queue(QUEUE, connection=connection).enqueue_many(jobs)
