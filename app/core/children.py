"""Child processes that are kept alive: started again, with backoff, when they die; they end when this one does."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from app.core.logging import get_logger

LAUNCH = [sys.executable, "-S", "-E", str(Path(__file__).with_name("launch.py"))]
BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 10.0
STEADY_SECONDS = 30.0
"""A child that lived so long is started again at once."""

NOT_STARTED = 126
"""The exit code where a command could not be started, as shells have it."""

log = get_logger(__name__)


def never(code: int, starts: int) -> bool:
    """Whether a child is done when it has ended with exit code `code`, having been started so often: it never is."""
    return False


class Child:
    """A command that runs until `stop`; started again whenever it ends before it `is_done`. `fds` are inherited."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        fds: Sequence[int] = (),
        grace_seconds: float,
        is_done: Callable[[int, int], bool] = never,
    ) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._fds = fds
        self._grace_seconds = grace_seconds
        self._is_done = is_done
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False
        self._task: asyncio.Task[int] | None = None

    def start(self) -> None:
        """Keep it running, from now on."""
        self._task = asyncio.create_task(self._keep_alive(), name=self.name)

    async def ended(self) -> int:
        """The exit code with which it has ended for good; 0 when `stop` came between two starts."""
        assert self._task is not None, "not started"
        await asyncio.wait([self._task])
        return 0 if self._task.cancelled() else self._task.result()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when its grace is over; return when it is gone."""
        self._is_stopping = True
        if self._task is None:
            return
        process = self._process
        if process is None or process.returncode is not None:
            self._task.cancel()
        else:
            self.terminate()
            try:
                await asyncio.wait_for(process.wait(), self._grace_seconds)
            except TimeoutError:
                log.warning("child_killed", child=self.name, after_seconds=self._grace_seconds)
                self.kill()
        with suppress(asyncio.CancelledError):
            await self._task

    def terminate(self) -> None:
        """SIGTERM, now."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, now; it is not started again."""
        self._is_stopping = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _keep_alive(self) -> int:
        """The last exit code."""
        backoff, starts, code = BACKOFF_SECONDS_MIN, 0, 0
        while not self._is_stopping:
            began, starts = monotonic(), starts + 1
            try:
                code = await self._run()
            except OSError as error:  # this machine has no memory or no process left
                code = NOT_STARTED
                log.warning("child_not_started", child=self.name, reason=type(error).__name__)
            if self._is_stopping or self._is_done(code, starts):
                break
            backoff = BACKOFF_SECONDS_MIN if monotonic() - began > STEADY_SECONDS else backoff
            log.warning("child_died", child=self.name, exit_code=code, restart_in_seconds=backoff)
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)
        return code

    async def _run(self) -> int:
        """Start it and wait for its end; its exit code."""
        self._process = await asyncio.create_subprocess_exec(
            *LAUNCH,
            *self._command,
            env=self._env,
            pass_fds=self._fds,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent, which stops its children in order
        )
        return await self._process.wait()
