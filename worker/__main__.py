"""`python -m worker`: answers questions until SIGTERM; the fast way, since it imports before it takes a job."""

import argparse
import socket
import sys
from time import sleep

from pydantic import ValidationError
from rq import Queue, worker_registration

from app.core.contract import QUERY_QUEUE
from app.core.errors import ConfigurationError
from app.core.logging import configure_logging, get_logger
from app.core.queue import VALKEY_AWAY, connect
from app.core.services import redis_url
from app.core.settings import Settings, explain

VALKEY_RETRY_SECONDS = 1.0

log = get_logger("worker")


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 after a clean stop, 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--burst", action="store_true", help="stop when the queue is empty")
    parser.add_argument("--check", action="store_true", help="exit 0 when a worker of this host is alive, else 1")
    arguments = parser.parse_args(argv)
    try:
        settings = Settings()
    except ValidationError as error:
        print(f"worker: {explain(error)}", file=sys.stderr)
        return 2
    configure_logging(settings)
    try:
        if arguments.check:
            return check(settings)
        return run(settings, burst=arguments.burst)
    except ConfigurationError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2


def check(settings: Settings) -> int:
    """Exit code for a container's health check: has a worker of this host been heard of lately?"""
    queue = Queue(QUERY_QUEUE, connection=connect(redis_url(settings)))
    try:
        hosts = (queue.connection.hget(key, "hostname") for key in worker_registration.get_keys(queue))
        return 0 if socket.gethostname().encode() in hosts else 1
    except VALKEY_AWAY:
        return 1


def run(settings: Settings, *, burst: bool) -> int:
    """Work as the settings say. Raises `ConfigurationError` when there is no Valkey or Qdrant to go to."""
    from worker.concurrent import ConcurrentWorker

    connection = connect(redis_url(settings))
    while True:
        try:
            worker = ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings)
            break
        except VALKEY_AWAY as error:
            log.warning("valkey_away", reason=type(error).__name__, retry_in_seconds=VALKEY_RETRY_SECONDS)
            sleep(VALKEY_RETRY_SECONDS)
    worker.work(burst=burst)
    return 0


if __name__ == "__main__":
    sys.exit(main())
