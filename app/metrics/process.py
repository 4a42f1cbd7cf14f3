"""The numbers of one API process, and where they are shown.

Each process has its own: of several behind one address, `/metrics` is the page of whichever answers. What is read
from Valkey is the same on all of them.
"""

from prometheus_client import Counter, Histogram

from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.metrics.families import ApiFamilies
from app.core.metrics.page import OwnPort, page
from app.core.services import redis_url
from app.core.settings import Settings
from app.jobs.waiters import Waiters
from app.metrics.queues import QueueCollector, connect_for_metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
OTHER_METHOD = "_OTHER"
"""OpenTelemetry's word (`http.request.method`) for a method that is none of RFC 9110's and 5789's."""
NONE = "none"
"""The route of a path that there is not, and the status of a request that was left before its answer began."""

log = get_logger(__name__)


class ApiMetrics:
    """Counts requests for one API process, and makes its page. Opens no connection before it is asked for it.

    Raises `ConfigurationError` when there is no Valkey to go to.
    """

    def __init__(self, settings: Settings, waiters: Waiters) -> None:
        self._settings = settings
        self._families = families = ApiFamilies()
        families.streams.set_function(waiters.streams)
        families.waiters.set_function(waiters.waits)
        self._given = families.cache_requests.labels("exact", "hit")
        self._valkey = connect_for_metrics(redis_url(settings))
        families.registry.register(QueueCollector(self._valkey, settings))
        self._counted: dict[tuple[str, str | None, int | None], tuple[Counter, Histogram]] = {}
        self._port: OwnPort | None = None

    @property
    def port(self) -> int | None:
        """The port that the page has of its own, while it is open."""
        return self._port.port if self._port else None

    def open(self) -> None:
        """Open METRICS_PORT, if it is set and not open yet. Raises `ConfigurationError` when it can't be had."""
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if port is None or self._port is not None:
            return
        try:
            self._port = OwnPort(host, port, self._families.registry)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error}; each process needs one of its own (uvicorn's --workers too)"
            ) from None
        log.info("metrics_shown", host=host, port=self._port.port)

    def close(self) -> None:
        """Close the port, and the connection."""
        if self._port is not None:
            self._port.close()
            self._port = None
        self._valkey.close()

    def count(self, method: str, route: str | None, status: int | None, seconds: float) -> None:
        """A request was answered. `route` is the template, None when the path is none of ours."""
        counted = self._counted.get((method, route, status))
        if counted is None:
            counted = self._found(method if method in METHODS else OTHER_METHOD, route, status)
        requests, durations = counted
        requests.inc()
        durations.observe(seconds)

    def count_given(self) -> None:
        """A question was given a kept answer at once. Where there is none, a worker looks again, and counts that."""
        self._given.inc()

    def _found(self, method: str, route: str | None, status: int | None) -> tuple[Counter, Histogram]:
        """The two series of these labels, looked for once: that takes longer than to count."""
        labels = (method, route or NONE, NONE if status is None else str(status))
        families = self._families
        found = families.http_requests.labels(*labels), families.http_seconds.labels(*labels)
        return self._counted.setdefault((method, route, status), found)

    def page(self, accept: str, accept_encoding: str) -> tuple[dict[str, str], bytes]:
        """The page's headers and body, as these headers of a request want it. Asks Valkey: for a thread."""
        return page(self._families.registry, accept, accept_encoding)
