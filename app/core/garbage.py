"""Python's search for garbage cycles: seldom while a process runs, and not at its end."""

import gc
from collections.abc import Callable

THRESHOLD = 10_000
"""New objects after which Python looks for garbage cycles. A request makes none that stay, and Python's own 700 made
the search a tenth of a request's cost; a start's too, of which all stays that is imported."""


def sparing(main: Callable[[], int]) -> int:
    """The exit code of `main`, which is all that this process does.

    At its end Python looks through all that was ever imported, to free it, which the system does anyway and at once.
    """
    gc.set_threshold(THRESHOLD)
    try:
        return main()
    finally:
        gc.freeze()
