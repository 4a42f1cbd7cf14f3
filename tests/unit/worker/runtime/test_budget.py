"""When a provider asks to wait, and when it does not."""

import pytest

from worker.runtime.budget import pause_seconds


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (200, {}, 0),
        (200, {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "6m0s"}, 0),
        (200, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        (200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5s"}, 1.5),
        (200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        (429, {"retry-after": "3"}, 3),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        (429, {}, 0),
        (500, {"retry-after": "3"}, 0),
        (200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "nonsense"}, 0),
    ],
)
def test_pause(status: int, headers: dict[str, str], seconds: float) -> None:
    assert pause_seconds(status, headers) == seconds
