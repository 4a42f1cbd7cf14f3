"""Where the model's budget stands in Valkey: `worker.runtime.budget` keeps it, and the API shows it."""

PREFIX = "rag:budget"
LEASES = f"{PREFIX}:leases"
"""A sorted set: a lease for each call of the model that runs, by when it ends unless it is renewed. There is none
where MODEL_MAX_CONCURRENCY is not set."""
PAUSE = f"{PREFIX}:pause"
"""There while a provider's word to wait holds."""
WINDOW_SECONDS = 60


def requests_key(per_minute: int) -> str:
    """A list: the moments at which requests were made, the latest first (`limits`' moving window)."""
    return f"{PREFIX}:LIMITER/requests/{per_minute}/1/minute"


def tokens_keys(per_minute: int) -> tuple[str, str]:
    """Two counts of tokens, of this minute and of the one before (`limits`' sliding window).

    The first expires two minutes after its first token: with less than one left, it is the one before.
    """
    key = f"{PREFIX}:{{LIMITER/tokens/{per_minute}/1/minute}}"
    return key, f"{key}/-1"
