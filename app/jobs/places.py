"""What one key has open at once: streams, requests that wait, and uploads.

They are connections of this process, so that it counts them itself: a place is given back when its request is over,
and nothing is asked of Valkey. Of several replicas, each lets a key have so many.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import Limit, LimitReachedError
from app.core.settings import Settings


class Places:
    """The places of every key. Without credentials there is one user, whose machine it is, and no limit."""

    def __init__(self, settings: Settings) -> None:
        limits = {
            Limit.STREAMS: settings.key_max_streams,
            Limit.WAITS: settings.key_max_waits,
            Limit.UPLOADS: settings.key_max_uploads,
        }
        self._most = limits if settings.has_credentials else {}
        self._open: Counter[tuple[Limit, str]] = Counter()

    @contextmanager
    def held(self, limit: Limit, key: str) -> Iterator[None]:
        """While the key whose identity is `key` has one more of these open. Raises `LimitReachedError`."""
        most, place = self._most.get(limit), (limit, key)
        if most is None:
            yield
            return
        if self._open[place] >= most:
            raise LimitReachedError(limit, most)
        self._open[place] += 1
        try:
            yield
        finally:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]
