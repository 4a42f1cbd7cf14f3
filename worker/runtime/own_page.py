"""A worker process's page on METRICS_PORT: what it counts, and how it does."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from app.core.settings import Settings
from worker.runtime.health import Health
from worker.runtime.measures import count_by


@contextmanager
def served(settings: Settings, queues: Sequence[str], health: Health) -> Iterator[None]:
    """While the process counts and shows it, on the port that `health.port` says; nothing where none is set.

    Raises `ConfigurationError` when the port is taken.
    """
    if settings.metrics_port is None:
        yield
        return
    from app.core.metrics.families import WorkerFamilies  # what is off is not imported
    from app.core.metrics.page import OwnPort
    from worker.runtime.counting import Counting

    families = WorkerFamilies()
    reports = {"/healthz": health.alive, "/readyz": health.ready}
    with closing(OwnPort(settings.metrics_host, settings.metrics_port, families.registry, reports)) as page:
        health.port = page.port
        count_by(Counting(families, queues, settings.model_prices))
        try:
            yield
        finally:
            count_by(None)
