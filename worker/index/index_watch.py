"""Beside a worker's work: whether the index has vectors of the embedding model; `/readyz` shows when it has not."""

import threading
from collections.abc import Iterable
from contextlib import closing

from redis import Redis
from redis.exceptions import RedisError

from app.core.contract import QUERY_QUEUE
from app.core.errors import ConfigurationError, ServiceError
from app.core.index_notes import EXPIRES_SECONDS, KEY, IndexState, lacks_vectors_of
from app.core.logging import get_logger
from app.core.services import qdrant_server
from app.core.settings import Settings
from worker.http.generations import find_generations
from worker.http.qdrant import QdrantHttp
from worker.model.choice import settled

LOOK_SECONDS = 5.0

log = get_logger(__name__)


def watch_index(settings: Settings, connection: Redis, queues: Iterable[str], ended: threading.Event) -> None:
    """Look now and then, where questions are answered and there is a model, until `ended`. Raises nothing."""
    if not settings.embedding_model or QUERY_QUEUE not in queues:
        return
    try:
        url, key = qdrant_server(settings)
    except ConfigurationError:  # which every job will meet, and tell
        return
    said: IndexState | None = None
    with closing(QdrantHttp(url, api_key=key, timeout_seconds=settings.qdrant_timeout_seconds)) as http:
        while not ended.is_set():
            try:
                found = state(http, settings)
                if found is None:
                    connection.delete(KEY)
                else:
                    connection.set(KEY, found.value, ex=EXPIRES_SECONDS)
                if found is not said:
                    log.warning("index_lacks_vectors", state=found) if found else log.info("index_has_vectors")
                said = found
            except (ServiceError, RedisError) as error:
                log.debug("index_not_looked_at", reason=type(error).__name__)
            except Exception:  # whatever Qdrant sends; a worker goes on without this
                log.exception("index_not_looked_at")
            ended.wait(LOOK_SECONDS)


def state(http: QdrantHttp, settings: Settings) -> IndexState | None:
    """What is wrong with the index, if so. Raises as `find_generations` and `settled` do."""
    model = settled(settings).embedding_model or ""
    found = find_generations(http, settings.qdrant_collection)
    if found.current is None or not lacks_vectors_of(model, found.current.metadata):
        return None
    is_made = found.following is not None and found.following.model == model
    return IndexState.BEING_REEMBEDDED if is_made else IndexState.OF_ANOTHER_MODEL
