"""The semantic cache: where a question is found to have been asked before in other words.

Its points lie in a Qdrant collection of their own. A point has a question's vector, and no word of it: hashes say
whose it is, what its answer depends on, and under which hash that is kept in Valkey (`app.core.queue.answers`), the
answer's only place. So what is said here is believed only as far as that record bears it out, and whatever ends the
record (its time, a change of the collection, an erasing) ends the hit.

A hit needs the cosine, and the same words (`worker.answer.same_question`): no cosine tells a question from its
opposite. Nothing here is ever needed: without Qdrant's word there is no hit.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, time
from typing import Any, TypeVar
from uuid import UUID, uuid5

from app.core.contract import AnswerJob
from app.core.errors import ServiceError
from app.core.index_notes import EMBEDDING_MODEL, noted
from app.core.logging import get_logger
from app.core.queue.answers import ANSWERS_MAX, fingerprint
from app.core.services import qdrant_server
from app.core.settings import Settings
from worker.answer.same_question import canonical
from worker.http.qdrant import BadRequestError, NotFoundError
from worker.http.writing import WritingHttp
from worker.layout import layout_of
from worker.vectors import DENSE, dense_size

SUFFIX = "-semantic-cache"
"""Behind QDRANT_COLLECTION: the collection's name."""
CACHE_OF = "semantic_cache_of"
"""In its metadata: the index that it goes with. Without that it is not ours, and is let alone."""
INDEXED_FIELDS: dict[str, Any] = {
    "tenant": {"type": "keyword", "is_tenant": True},
    "version": "keyword",
    "asked": "keyword",
    "expires_at": "integer",
}
POINT_NAMESPACE = UUID("5d0f3a3e-0f0c-4d6b-8d11-2b8d6a3f7c55")
PRUNE_SECONDS = 60
"""Between two looks for points whose answers have expired."""
ERRORS = (ServiceError, NotFoundError, BadRequestError, KeyError, TypeError, AttributeError, ValueError)
"""What asking a Qdrant may fail with that is away, or is none."""

T = TypeVar("T")

log = get_logger(__name__)


def open_semantic_cache(
    settings: Settings, vector_of: Callable[[str], Sequence[float] | None]
) -> "SemanticCache | None":
    """The cache, where the settings turn it on. Opens no connection.

    `vector_of` gives a question's vector, None where the index has none of that model.
    """
    if not settings.semantic_cache_threshold or not settings.answer_cache_ttl_seconds:
        return None
    url, key = qdrant_server(settings)
    http = WritingHttp(url, api_key=key, timeout_seconds=settings.qdrant_timeout_seconds)
    return SemanticCache(http, settings, vector_of)


class SemanticCache:
    """The points of all tenants. Safe to share between threads.

    A tenant has `ANSWERS_MAX` at most: each question has its place among so many, and takes it from the last.
    """

    def __init__(
        self, http: WritingHttp, settings: Settings, vector_of: Callable[[str], Sequence[float] | None]
    ) -> None:
        self.vector_of = vector_of
        self.settings = settings
        self._http = http
        self._path = f"/collections/{settings.qdrant_collection}{SUFFIX}"
        self._size: int | None = None
        self._is_anothers = False
        self._pruned_at = monotonic()

    def close(self) -> None:
        """Close the connections to Qdrant."""
        self._http.close()

    def wording(self, job: AnswerJob) -> "Wording | None":
        """The question of `job` as the cache knows it; None for one without a word."""
        form = canonical(job.query)
        return Wording(self, job, form) if form is not None else None

    def find(self, vector: Sequence[float], where: dict[str, str]) -> str | None:
        """The hash of the kept answer of the nearest point that is near enough and of which `where` holds."""
        return self._asked("find", lambda: self._find(vector, where))

    def add(self, point: str, vector: Sequence[float], payload: dict[str, Any]) -> None:
        """Write a point, in the place of the one that had its id."""
        body = {"points": [{"id": point, "vector": {DENSE: vector}, "payload": payload}]}
        if self._asked("add", lambda: self._make_ready(len(vector))):
            self._asked("add", lambda: self._http.put(f"{self._path}/points?wait=true", body))
            self._prune()

    def remove(self, point: str) -> None:
        """Delete a point whose answer is not kept any more."""
        self._asked("remove", lambda: self._delete({"points": [point]}))

    def _find(self, vector: Sequence[float], where: dict[str, str]) -> str | None:
        if not self._make_ready(len(vector)):
            return None
        body = {
            "query": vector,
            "using": DENSE,
            "filter": _where(**where),
            "limit": 1,
            "score_threshold": self.settings.semantic_cache_threshold,
            "with_payload": ["mark"],
        }
        points = self._http.post(f"{self._path}/points/query", body)["points"]
        return str(points[0]["payload"]["mark"]) if points else None

    def _make_ready(self, size: int) -> bool:
        """Whether there is a collection of ours for vectors of this size; one of another model's is made anew."""
        if self._size == size or self._is_anothers:
            return not self._is_anothers
        from worker.model.choice import settled  # its imports are for a worker that has a model

        model, info = settled(self.settings).embedding_model, self._described()
        if info is not None:
            notes = noted(info)
            if notes.get(CACHE_OF) != self.settings.qdrant_collection:
                log.error("semantic_cache_off", collection=self._path, reason="the collection is another's")
                self._is_anothers = True
                return False
            if notes.get(EMBEDDING_MODEL) != model or dense_size(info) != size:
                self._http.delete(self._path)
                info = None
        if info is None:
            notes = {CACHE_OF: self.settings.qdrant_collection, EMBEDDING_MODEL: model}
            with suppress(BadRequestError):  # another worker was first
                nodes = layout_of(self.settings).collection
                vectors = {DENSE: {"size": size, "distance": "Cosine"}}
                self._http.put(self._path, {"vectors": vectors, "metadata": notes} | nodes)
            for field, schema in INDEXED_FIELDS.items():
                self._http.put(f"{self._path}/index?wait=true", {"field_name": field, "field_schema": schema})
        self._size = size
        return True

    def _described(self) -> Any:
        try:
            return self._http.get(self._path)
        except NotFoundError:
            return None

    def _prune(self) -> None:
        """Delete the points whose answers have expired, now and then."""
        if monotonic() - self._pruned_at >= PRUNE_SECONDS:
            self._pruned_at = monotonic()
            expired = {"must": [{"key": "expires_at", "range": {"lt": int(time())}}]}
            self._asked("prune", lambda: self._delete({"filter": expired}))

    def _delete(self, which: dict[str, Any]) -> None:
        self._http.post(f"{self._path}/points/delete?wait=true", which)

    def _asked(self, during: str, ask: Callable[[], T]) -> T | None:
        """What Qdrant says to `ask`; None when it cannot be asked. The collection may be gone, or made anew."""
        try:
            return ask()
        except ERRORS as error:
            self._size = None
            log.warning("semantic_cache_unavailable", during=during, reason=type(error).__name__)
            return None


class Wording:
    """A question, for the time of its job. `vector` is its own, once it has been looked for."""

    def __init__(self, cache: SemanticCache, job: AnswerJob, form: str) -> None:
        self.vector: Sequence[float] | None = None
        self._cache = cache
        self._query = job.query
        self._tenant = job.tenant
        self._form = form
        # All that the exact cache's hash covers, with the form in the place of the words.
        self._asked = fingerprint(job.model_copy(update={"query": form}), cache.settings)
        place = int(self._asked[:8], 16) % ANSWERS_MAX
        self._point = str(uuid5(POINT_NAMESPACE, f"{job.tenant}\n{place}"))

    def find(self, version: bytes) -> str | None:
        """The hash of an answer that was kept of another wording, for this version of the collection.

        Raises the embedding model's `ServiceError`, as the search would a moment later.
        """
        self.vector = self._cache.vector_of(self._query)
        return self._cache.find(self.vector, self._where(version)) if self.vector is not None else None

    def keep(self, version: bytes, mark: str) -> None:
        """From now on, other wordings find the answer that is kept under `mark`."""
        if self.vector is None:
            return
        expires_at = int(time()) + self._cache.settings.answer_cache_ttl_seconds
        payload = {**self._where(version), "mark": mark, "expires_at": expires_at}
        self._cache.add(self._point, self.vector, payload)

    def forget(self) -> None:
        """The answer that was found is not kept any more."""
        self._cache.remove(self._point)

    def is_also(self, question: str) -> bool:
        """Whether `question` is another wording of this one."""
        return canonical(question) == self._form

    def _where(self, version: bytes) -> dict[str, str]:
        return {"tenant": self._tenant, "version": version.decode(), "asked": self._asked}


def erase(http: WritingHttp, index: str, tenant: str) -> None:
    """Delete every point of `tenant` from the cache that goes with `index`, and have Qdrant write its files anew."""
    path = f"/collections/{index}{SUFFIX}"
    try:
        if noted(http.get(path)).get(CACHE_OF) == index:
            http.post(f"{path}/points/delete?wait=true", {"filter": _where(tenant=tenant)})
            http.patch(path, {"optimizers_config": {}})
    except NotFoundError:  # it was never on
        return


def _where(**wanted: str) -> dict[str, Any]:
    return {"must": [{"key": field, "match": {"value": value}} for field, value in wanted.items()]}
