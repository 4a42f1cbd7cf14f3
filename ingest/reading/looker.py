"""Looks at single pages, each in a child process that can be killed: somebody waits for them."""

from base64 import b64decode
from binascii import Error as Base64Error
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from ingest.reading import limits
from ingest.reading.child import Child, ChildLostError, LookRequest, Sight
from ingest.reading.page_look import Wish
from ingest.reading.reasons import FileError, Reason

PNG = b"\x89PNG\r\n\x1a\n"


class Looker:
    """One warm child, which keeps the file that it saw last open; it is started when it is first needed.

    Safe between threads, which take turns. Use as a context manager: leaving it ends the child.
    """

    def __init__(
        self,
        *,
        seconds_max: float = limits.PAGE_SECONDS_MAX,
        memory_bytes_max: int = limits.MEMORY_BYTES_MAX,
    ) -> None:
        self.seconds_max = seconds_max
        self._child = Child(memory_bytes_max)
        self._turn = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it: who looks in another thread gets a `FileError`."""
        self._child.close()
        with self._turn:
            self._child.end()

    @property
    def child_pid(self) -> int | None:
        """The process that there is now."""
        return self._child.pid

    def look(self, path: Path, name: str, wish: Wish) -> tuple[Sight, bytes | None]:
        """What is to be seen of a page of the file at `path`, a real path, and its picture if one was wanted.

        `name` tells its format. Raises `FileError`: also for a page that takes too long, or brings the child down.
        """
        with self._turn:
            try:
                self._child.ask(LookRequest(str(path.absolute()), name, wish))
                sight = self._child.sight(self.seconds_max)
                picture = _picture(sight)
            except (ChildLostError, Base64Error) as error:
                reason = error.reason if isinstance(error, ChildLostError) else Reason.CRASHED
                raise FileError(reason) from error
            finally:
                if self._child.is_busy:
                    self._child.end()
        if sight.failed is not None:
            raise FileError(sight.failed)
        return sight, picture


def _picture(sight: Sight) -> bytes | None:
    """Raises `ChildLostError` for what is no PNG: somebody else speaks."""
    if sight.seen is None or sight.seen.picture is None:
        return None
    picture = b64decode(sight.seen.picture, validate=True)
    if not picture.startswith(PNG) or len(picture) > limits.PICTURE_BYTES_MAX:
        raise ChildLostError(Reason.CRASHED)
    return picture
