"""Conversations on a real Valkey, by real workers and a model over HTTP."""

from worker.own_job import OwnJob  # noqa
