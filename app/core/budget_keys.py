"""Where the model's budget stands in Valkey: `worker.runtime.budget` keeps it, and the API shows it."""

PREFIX = "rag:budget"
LEASES = f"{PREFIX}:leases"
"""A sorted set: a lease for each call of the model that runs, by when it ends unless it is renewed. There is none
where MODEL_MAX_CONCURRENCY is not set."""
PAUSE = f"{PREFIX}:pause"
"""There while a provider's word to wait holds."""
