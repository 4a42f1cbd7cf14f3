"""`python -m worker`: works the queues until SIGTERM; the fast way, since it imports before it takes a job."""

import argparse
import socket
import sys
from collections.abc import Sequence
from time import sleep
from typing import Any

from pydantic import ValidationError

from app.core.contract import QUEUES
from app.core.errors import ConfigurationError
from app.core.garbage import sparing
from app.core.logging import configure_logging, get_logger
from app.core.services import redis_url
from app.core.settings import Settings, explain
from worker.processes import Processes

VALKEY_RETRY_SECONDS = 1.0

log = get_logger("worker")


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 after a clean stop, 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument(
        "--queues",
        nargs="+",
        choices=QUEUES,
        default=QUEUES,
        metavar="QUEUE",
        help=f"which: {', '.join(QUEUES)} (all)",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        help="how many, each on a core of its own; auto: one a core; else WORKER_PROCESSES",
    )
    parser.add_argument("--burst", action="store_true", help="stop when the queues are empty")
    parser.add_argument("--check", action="store_true", help="exit 0 when a worker of this host is alive, else 1")
    arguments = parser.parse_args(argv)
    try:
        stated: dict[str, Any] = {"worker_processes": arguments.processes} if arguments.processes else {}
        settings = Settings(**stated)
    except ValidationError as error:
        print(f"worker: {explain(error)}", file=sys.stderr)
        return 2
    configure_logging(settings)
    try:
        if arguments.check:
            return check(settings)
        if settings.worker_processes > 1:
            return Processes(settings, arguments.queues, burst=arguments.burst).run()
        return run(settings, arguments.queues, burst=arguments.burst)
    except ConfigurationError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2


def check(settings: Settings) -> int:
    """Exit code for a container's health check: has a worker of this host been heard of lately?"""
    from rq import worker_registration

    from app.core.queue.connections import VALKEY_UNAVAILABLE, connect

    with connect(redis_url(settings)) as connection:
        try:
            hosts = (connection.hget(key, "hostname") for key in worker_registration.get_keys(connection=connection))
            return 0 if socket.gethostname().encode() in hosts else 1
        except VALKEY_UNAVAILABLE:
            return 1


def run(settings: Settings, queues: Sequence[str], *, burst: bool) -> int:
    """Work as the settings say. Raises `ConfigurationError` when they name no Valkey, no Qdrant or no free port."""
    # All of this is imported here: what watches others needs none of it.
    from app.core.queue.connections import VALKEY_UNAVAILABLE, connect
    from worker.concurrent import ConcurrentWorker
    from worker.runtime.health import Health
    from worker.runtime.own_page import served

    connection, health = connect(redis_url(settings)), Health()
    with served(settings, queues, health):  # also while Valkey is away
        while True:
            try:
                worker = ConcurrentWorker(queues, connection=connection, settings=settings, health=health)
                break
            except VALKEY_UNAVAILABLE as error:
                log.warning("valkey_unavailable", reason=type(error).__name__, retry_in_seconds=VALKEY_RETRY_SECONDS)
                sleep(VALKEY_RETRY_SECONDS)
        worker.work(burst=burst)
    return 0


if __name__ == "__main__":
    sys.exit(sparing(main))
