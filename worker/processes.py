"""Several worker processes on this machine: started, watched and stopped by this one, which works nothing itself.

It holds no connection and no job, so that nothing is lost with it: its children end when it is killed.
"""

import asyncio
import os
import signal
from collections.abc import Sequence

from app.core.logging import get_logger
from app.core.settings import Settings
from app.core.worker_processes import metrics_ports, worker_children

WRONG_CONFIGURATION = 2
"""The exit code of `python -m worker` then."""

log = get_logger(__name__)


class Processes:
    """WORKER_PROCESSES times `python -m worker` with `queues`, in this process's environment.

    Raises `ConfigurationError` when there are too few ports for their metrics.
    """

    def __init__(self, settings: Settings, queues: Sequence[str], *, burst: bool) -> None:
        self._burst = burst
        self._children = worker_children(
            settings,
            environment=os.environ,
            arguments=["--queues", *queues, *(["--burst"] if burst else [])],
            metrics_ports=metrics_ports(settings),
            is_done=self._is_done,
        )
        self._stop: asyncio.Future[list[None]] | None = None

    def run(self) -> int:
        """Until SIGTERM or SIGINT; with `burst` until the queues are empty. The exit code.

        It is 0 when each process has ended well, 2 when one of them found at its first start that the configuration
        is wrong, which ends the others; else 1.
        """
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        for child in self._children:
            child.start()
        log.info("worker_processes_started", processes=len(self._children))
        codes: set[int] = set()
        for ended in asyncio.as_completed([child.ended() for child in self._children]):
            codes.add(await ended)
            if WRONG_CONFIGURATION in codes and self._stop is None:
                self._end()
        if self._stop is not None:
            await self._stop
        log.info("worker_processes_stopped")
        if WRONG_CONFIGURATION in codes:
            return WRONG_CONFIGURATION
        return 0 if codes <= {0, -signal.SIGTERM} else 1  # one that we stop before it can listen dies of the signal

    def _is_done(self, code: int, starts: int) -> bool:
        """A wrong configuration helps nobody a second time; one that has worked is wrong only for now."""
        return (code == WRONG_CONFIGURATION and starts == 1) or (code == 0 and self._burst)

    def _on_signal(self, number: int) -> None:
        """First: each lets running jobs finish within their grace. Again: each puts them back and ends at once."""
        log.info("worker_processes_stopping", signal=signal.Signals(number).name)
        if self._stop is None:
            self._end()
            return
        for child in self._children:
            child.terminate()

    def _end(self) -> None:
        """Stop all of them at once."""
        self._stop = asyncio.gather(*(child.stop() for child in self._children))
