"""Upper bounds of the histograms' buckets, in seconds unless said otherwise."""

from itertools import chain

OPERATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""A call to a model, and until its first chunk: OpenTelemetry's GenAI metrics, `gen_ai.client.operation.duration`."""

TOKENS = tuple(4**power for power in range(14))
"""1 to 67,108,864 tokens: OpenTelemetry's GenAI metrics, `gen_ai.client.token.usage`."""

HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""A request: OpenTelemetry's HTTP metrics, `http.server.request.duration`."""

JOB = tuple(chain.from_iterable((unit, 2.5 * unit, 5 * unit) for unit in (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)))
"""Waiting and running, from 10 ms to 5,000 s: three to a power of ten."""

STAGE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A stage of retrieval."""
