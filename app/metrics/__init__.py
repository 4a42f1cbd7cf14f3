"""What an API process shows Prometheus: its own requests, and the queues as they stand in Valkey.

The modules here are imported where METRICS or METRICS_PORT is set, and nowhere else.
"""


class MetricsOffError(Exception):
    """Nothing is counted: neither METRICS nor METRICS_PORT is set."""
