"""Jobs that no product has, for tests of the worker itself."""

from time import monotonic


def spin(seconds: float) -> None:
    """Compute for so long, without ever blocking."""
    end = monotonic() + seconds
    while monotonic() < end:
        pass
