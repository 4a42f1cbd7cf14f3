"""The models are asked for once at a worker's start, beside its work; what is wrong is logged and shown by `/readyz`.

While something is wrong it is asked again now and then, so that what was mended is not shown for long.
"""

import threading
from collections.abc import Iterable, Sequence
from itertools import groupby

from redis import Redis
from redis.exceptions import RedisError

from app.core.contract import INGEST_QUEUE, QUERY_QUEUE
from app.core.errors import ConfigurationError, ServiceError
from app.core.logging import get_logger
from app.core.model_findings import EXPIRES_SECONDS, KEY, ModelRole, Problem, written
from app.core.settings import Settings
from worker.model.choice import is_to_choose, settled
from worker.model.model_check import Finding, Server, check, servers_of

AGAIN_SECONDS = 60.0
"""Between two askings of a server with which something is wrong."""

CHOICE_SECONDS = 5.0
"""As long as the embedding model is not chosen, since a server or Qdrant is away."""

ROLES: dict[str, tuple[ModelRole, ...]] = {QUERY_QUEUE: tuple(ModelRole), INGEST_QUEUE: (ModelRole.EMBEDDING,)}
"""Which models the jobs of a queue need."""

log = get_logger(__name__)


def check_models(settings: Settings, connection: Redis, queues: Iterable[str], ended: threading.Event) -> None:
    """Check the models that jobs of `queues` need; returns when nothing is wrong, or with `ended`. Raises nothing."""
    asks = [role for queue in queues for role in ROLES.get(queue, ())]
    try:
        _check(settings, connection, asks, ended)
    except ConfigurationError as error:  # which every job will meet, and tell
        log.warning("models_not_checked", reason=str(error))
    except RedisError as error:
        log.warning("models_not_checked", reason=type(error).__name__)
    except Exception:  # whatever a server sends; a worker goes on without this
        log.exception("models_not_checked")


def _check(settings: Settings, connection: Redis, asks: Sequence[ModelRole], ended: threading.Event) -> None:
    if not servers_of(settings, asks=asks):
        return
    said: set[str] = set()
    while not ended.is_set():
        chosen = _chosen(settings) if ModelRole.EMBEDDING in asks else settings
        servers = servers_of(chosen, asks=asks)
        found = [finding for server in servers for finding in _logged(server, check(server, settings), said)]
        if chosen.embedding_model is None and settings.embedding_model is not None:  # which the choice has said
            found.append(Finding(ModelRole.EMBEDDING, Problem.NOT_CHOSEN, ""))
        if not found and not is_to_choose(chosen):
            connection.delete(KEY)
            if said:
                log.info("model_check_passed")
            return
        if found:
            connection.set(KEY, written({each.role: each.problem for each in found}), ex=EXPIRES_SECONDS)
        ended.wait(CHOICE_SECONDS if is_to_choose(chosen) else AGAIN_SECONDS)


def _chosen(settings: Settings) -> Settings:
    """The settings with the embedding model that was chosen, once it is."""
    try:
        return settled(settings)
    except ServiceError as error:
        log.debug("embedding_model_not_yet_chosen", reason=error.code)
        return settings


def _logged(server: Server, found: list[Finding], said: set[str]) -> list[Finding]:
    """`found`, which is said in one line, once."""
    line = "; ".join(words for words, _ in groupby(each.words for each in found))
    if found and line not in said:
        said.add(line)
        settings = [role.upper() for role in server.models]
        log.warning("model_check_failed", url=server.address, found=line, settings=settings)
    return found
