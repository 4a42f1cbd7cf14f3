"""The path of a question through the index.

Filter, search by words and by meaning, fuse; once more with what was found best; read what was found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from app.core.contract import Retrieval, SearchFilters
from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.services import qdrant_server
from app.core.settings import AUTO, Fusion, Settings
from worker.http.generations import find_generations
from worker.http.qdrant import BadRequestError, NotFoundError, QdrantHttp
from worker.layout import read_query, search_params
from worker.retrieval import feedback
from worker.retrieval.duplicates import distinct
from worker.retrieval.filename_match import NamesCache
from worker.retrieval.filters import Condition, any_of, conditions_of, equals
from worker.retrieval.fusion import Ranking, fused
from worker.retrieval.neighbours import own_id, sides, with_context
from worker.runtime.measures import measures
from worker.vectors import DENSE, METADATA, SPARSE, TEXT, Hit, SparseVector, query_vector

if TYPE_CHECKING:
    from worker.model.choice import Choice
    from worker.retrieval.rerank import Rerank

DEPTH = 100
"""Chunks that each half of a hybrid search offers: fusion ranks well only what both offer deeply."""
FEEDBACK_FOUND_MIN = DEPTH
"""Chunks that a first search has to find for a second, moved by its best: of fewer, all are in its ranking."""
HALVES = (0.0, 1.0)
"""FUSION_DENSE_WEIGHT with which one half alone is heard, and its best hits have nobody to confirm them."""
FEEDBACK_ERRORS = (ServiceError, NotFoundError, BadRequestError, KeyError, TypeError, AttributeError, ValueError)
"""What a second search may fail with: what is wrong with the index, the first has said or the reading will."""
SPARE = 5
"""Hits read beyond `top_k`, to take the place of near-duplicates."""
RERANK_DEPTH = 50
"""Hits that a reranker reads."""
DENSE_FLOOR = 0.1
"""Cosine below which a chunk that shares no word with the question is not about it."""

NAME_BONUS = 0.5
"""Of the best score, for a chunk of the file that the question names best."""
NAMED_MAX = 64
"""Files that one question is taken to name."""
NAMES_MAX = 10_000
"""Files of a collection whose names are looked for in questions: those with the most chunks."""
NAME_ONLY = [f"{METADATA}.filename"]
REFUSED = (ErrorCode.MODEL_AUTH_FAILED, ErrorCode.MODEL_REJECTED)
"""How a server answers that has not this model, or not for this key."""
LOOK_SECONDS = 2.0
"""How long the collection that was found is taken for the index: one that a kill has left behind looks the same."""

Point = dict[str, Any]
EmbedFew = Callable[[list[str]], Sequence[Sequence[float]]]

log = get_logger(__name__)


def open_searcher(settings: Settings) -> "Searcher":
    """The configured index, for questions. Opens no connection.

    Raises `ConfigurationError` when there is no Qdrant to go to, or no client of the embedding model.
    """
    url, key = qdrant_server(settings)
    http = QdrantHttp(url, api_key=key, timeout_seconds=settings.qdrant_timeout_seconds)
    embed, embed_few, rerank, chosen, closing = None, None, None, None, [http.close]
    # Imported where they are needed: BM25 alone need not spend the half second.
    if settings.embedding_model:
        from worker.model.embeddings import open_embeddings

        if (model := open_embeddings(settings)) is not None:
            embed, embed_few = model.embed_query, model.embed_few
            closing.append(model.close)
        if settings.embedding_model == AUTO:
            from worker.model.choice import choice_of

            chosen = choice_of(settings)
    if settings.rerank_url:
        from worker.model.traced import traced_rerank
        from worker.retrieval.rerank import EndpointReranker

        reranker = EndpointReranker(settings)
        rerank = traced_rerank(reranker, settings)
        closing.append(reranker.close)
    return Searcher(http, settings, embed=embed, embed_few=embed_few, chosen=chosen, rerank=rerank, closing=closing)


@dataclass(frozen=True, slots=True)
class Index:
    """The collection to search: its `name`, the size of its vectors, and whether those are our model's.

    `is_followed`: another one is being made to take its place.
    """

    name: str
    dense_size: int | None
    has_our_vectors: bool
    is_followed: bool

    @property
    def path(self) -> str:
        """Its place in Qdrant's REST API."""
        return f"/collections/{self.name}"


class Searcher:
    """Finds chunks. Safe to share between threads.

    `embed_few` is the embedding model's for some texts at once, None when there is none; `chosen` which model that
    is, where none is named. Where the collection's vectors are another model's, it searches by words; so it does
    where a model that nobody has named is refused. Its methods raise `ServiceError`:
    INDEX_UNAVAILABLE without Qdrant, INDEX_MISMATCH when a model of the same name gives vectors of another length,
    or one of the model's codes when embedding the question fails.
    """

    def __init__(
        self,
        http: QdrantHttp,
        settings: Settings,
        *,
        embed: Callable[[str], Sequence[float]] | None = None,
        embed_few: EmbedFew | None = None,
        chosen: "Choice | None" = None,
        rerank: "Rerank | None" = None,
        closing: Iterable[Callable[[], None]] = (),
    ) -> None:
        self._http = http
        self._name = settings.qdrant_collection
        self._read = read_query(settings)
        self._params = {DENSE: search_params(settings)}
        self._embed = embed
        self._embed_few = embed_few
        self._chosen = chosen
        self._embedding_model = (settings.embedding_model or "") if embed is not None else ""
        self._is_model_named = settings.is_embedding_model_named
        self._rerank = rerank
        self._fusion = settings.fusion
        self._dense_weight = settings.fusion_dense_weight
        self._feeds_back = settings.fusion is Fusion.CONVEX and settings.fusion_dense_weight not in HALVES
        self._rrf_k = settings.rrf_k
        self._context_tokens = settings.context_tokens
        self._names = NamesCache(self._read_names)
        self._closing = tuple(closing)
        self._index: Index | None = None
        self._looked_at = 0.0

    def close(self) -> None:
        """Close the connections to Qdrant and to the models."""
        for close in self._closing:
            close()

    @property
    def embedding_model(self) -> str:
        """The name of the embedding model, "" for none. Raises as `Choice.model` where it is chosen."""
        return self._chosen.model() if self._chosen is not None else self._embedding_model

    @property
    def embed_few(self) -> EmbedFew | None:
        """The embedding model's for some texts at once; None where there is none, or none yet."""
        is_there = self._chosen is None or bool(self._chosen.known)
        return self._embed_few if is_there else None

    def search(
        self,
        query: str,
        *,
        tenant: str,
        collection: str,
        top_k: int,
        filters: SearchFilters | None = None,
        on_retrieval: Callable[[Retrieval], None] = lambda _: None,
        vector: Sequence[float] | None = None,
    ) -> list[Hit]:
        """The `top_k` chunks that fit `query` best, best first; none when none is about it or nothing is indexed.

        `on_retrieval` is told how they were looked for. `vector` is what `question_vector` gave for the query.
        """
        where = [equals("tenant", tenant), equals("collection", collection)]
        if filters is not None:
            where += conditions_of(filters)
        try:
            index = self._indexed()
            while index is not None:
                try:
                    is_confined = filters is not None and filters.chooses_documents
                    named = {} if is_confined else self._named(query, tenant, collection)
                    hits, vectors = self._found(index, query, vector, where, named, top_k)
                except (NotFoundError, BadRequestError) as error:  # it may have been replaced, or made anew
                    index = self._other_than(index, error)
                else:
                    on_retrieval("hybrid" if DENSE in vectors else "words")
                    return hits
        except (KeyError, TypeError, AttributeError) as error:
            log.warning("qdrant_answer_unreadable", during="search")
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
        return []

    def question_vector(self, query: str) -> Sequence[float] | None:
        """The vector that `search` looks for; None where it looks by words alone, or can't look now.

        Raises one of the embedding model's codes.
        """
        try:
            index = self._indexed()
        except (ServiceError, KeyError, TypeError, AttributeError):  # the search says what is wrong with the index
            return None
        if self._embed is None or index is None or not index.has_our_vectors:
            return None
        with measures().stage("embed"):
            return self._embedded(self._embed, query)

    def joined(self, hits: Sequence[Hit], *, tenant: str, collection: str) -> list[Hit]:
        """`hits` with the words around them in `context`, as far as CONTEXT_TOKENS goes."""
        if not hits or not self._context_tokens:
            return list(hits)
        beside = [sides(hit, tenant=tenant, collection=collection) for hit in hits]
        own = {own_id(hit, tenant=tenant, collection=collection) for hit in hits}
        wanted = {point for pair in beside for point in pair if point is not None} - own
        body = {"ids": sorted(wanted), "with_payload": [TEXT]}
        try:
            points = self._http.post(f"{self._path}/points", body)
            texts = {point["id"]: point["payload"][TEXT] for point in points}
        except (NotFoundError, BadRequestError, KeyError, TypeError):
            log.warning("neighbours_unreadable")
            return list(hits)
        return with_context(hits, beside, texts, self._context_tokens)

    @property
    def _path(self) -> str:
        """For what any collection that is the index would say."""
        index = self._index
        return index.path if index is not None else f"/collections/{self._name}"

    def _indexed(self) -> Index | None:
        """The collection to search now; None when nothing is indexed."""
        index = self._index
        has_none = self._embed is None or (self._chosen is not None and self._chosen.known == "")
        is_final = index is not None and (has_none or index.has_our_vectors)
        return index if is_final and monotonic() - self._looked_at < LOOK_SECONDS else self._look()

    def _look(self) -> Index | None:
        """Ask which collection is the index."""
        looked_at, found = monotonic(), find_generations(self._http, self._name)
        if (current := found.current) is None:
            self._index = None
            return None
        has_our_vectors = self._embed is not None and bool(current.model) and current.model == self.embedding_model
        index = Index(current.name, current.dense_size, has_our_vectors, found.following is not None)
        self._index, self._looked_at = index, looked_at
        return index

    def _other_than(self, index: Index, error: Exception) -> Index | None:
        """The collection that took the place of `index`, which Qdrant no longer has or knows otherwise."""
        found = self._look()
        if found != index:
            return found
        if isinstance(error, NotFoundError):  # gone and made again meanwhile, or a point's
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
        raise ServiceError(ErrorCode.INTERNAL) from error

    def _named(self, query: str, tenant: str, collection: str) -> dict[str, float]:
        """The files that `query` names, the best `NAMED_MAX` of them, with how well it does."""
        named = self._names.get(tenant, collection).named_in(query)
        return dict(sorted(named.items(), key=lambda item: (-item[1], item[0]))[:NAMED_MAX])

    def _read_names(self, tenant: str, collection: str) -> list[str]:
        where = {"must": [equals("tenant", tenant), equals("collection", collection)]}
        body = {"key": f"{METADATA}.filename", "filter": where, "limit": NAMES_MAX}
        try:
            return [hit["value"] for hit in self._http.post(f"{self._path}/facet", body)["hits"]]
        except BadRequestError:  # a collection that was made before file names were indexed
            return []

    def _found(
        self,
        index: Index,
        query: str,
        vector: Sequence[float] | None,
        where: list[Condition],
        named: dict[str, float],
        top_k: int,
    ) -> tuple[list[Hit], dict[str, Any]]:
        """The hits, and the question's vectors by which they were looked for."""
        vectors = self._vectors(index, query, vector)
        with measures().stage("search"):
            hits = self._searched(index, vectors, where, named, top_k)
        return (hits if self._rerank is None else self._reranked(query, hits)[:top_k]), vectors

    def _searched(
        self, index: Index, vectors: dict[str, Any], where: list[Condition], named: dict[str, float], top_k: int
    ) -> list[Hit]:
        """The best hits: `top_k`, or as many as a reranker reads."""
        offered = max(top_k + SPARE, RERANK_DEPTH if self._rerank is not None else 0)
        is_hybrid = len(vectors) > 1
        depth = DEPTH if is_hybrid else offered
        points = self._points(
            index, vectors, where, named, depth, payload=(NAME_ONLY if named else False) if is_hybrid else True
        )
        ranking = self._ranking(points, named, depth)
        if is_hybrid and self._feeds_back and len(ranking) >= FEEDBACK_FOUND_MIN:
            ranking = self._fed_back(index, vectors, where, named, points, ranking)
        best = dict(_best_of(ranking, offered))
        if not best:
            return []
        if is_hybrid:
            read = self._http.post(f"{index.path}/points{self._read}", {"ids": list(best), "with_payload": True})
        else:
            read = [point for half in points.values() for point in half]
        return list(islice(distinct(_hits(read, best)), top_k if self._rerank is None else None))

    def _points(
        self,
        index: Index,
        vectors: dict[str, Any],
        where: list[Condition],
        named: dict[str, float],
        depth: int,
        payload: Any,
    ) -> dict[str, list[Point]]:
        """What each half finds: among all, and once more among the files that the question names."""
        wheres: list[list[Condition]] = [where, [*where, any_of("filename", tuple(named))]] if named else [where]
        searches = [
            _query(vector, using, allowed, depth, payload if allowed is wheres[-1] or payload is True else False)
            | self._params.get(using, {})
            for using, vector in vectors.items()
            for allowed in wheres
        ]
        if not searches:
            return {}
        found = self._http.post(f"{index.path}/points/query/batch{self._read}", {"searches": searches})
        each = len(wheres)
        return {
            using: [point for result in found[place * each : (place + 1) * each] for point in result["points"]]
            for place, using in enumerate(vectors)
        }

    def _ranking(self, points: dict[str, list[Point]], named: dict[str, float], depth: int) -> dict[str, float]:
        """The points' fused scores, higher in a named file; none when none is about the question."""
        dense, sparse = (_best_first(points.get(using, [])) for using in (DENSE, SPARSE))
        if not sparse and not any(score >= DENSE_FLOOR for _, score in dense):
            return {}
        scores = fused(self._fusion, dense, sparse, depth=depth, dense_weight=self._dense_weight, rrf_k=self._rrf_k)
        if not named:
            return scores
        most = NAME_BONUS * max(scores.values())
        # What lies in a named file is among that file's own best, which come with its name.
        files = {
            point["id"]: point["payload"][METADATA]["filename"]
            for half in points.values()
            for point in half
            if point.get("payload")
        }
        return {point: score + most * named.get(files.get(point, ""), 0.0) for point, score in scores.items()}

    def _fed_back(
        self,
        index: Index,
        vectors: dict[str, Any],
        where: list[Condition],
        named: dict[str, float],
        points: dict[str, list[Point]],
        ranking: dict[str, float],
    ) -> dict[str, float]:
        """The ranking of a second search with `vectors` moved by the best of the first; the first's if that fails."""
        try:
            best = feedback.chosen(self._evidence(index, ranking))
            moved = vectors | {DENSE: feedback.moved(vectors[DENSE], best)}
            if points[SPARSE]:  # a question without a word of the index has none to add to
                moved[SPARSE] = feedback.expanded(SparseVector(**vectors[SPARSE]), best)._asdict()
            again = self._points(index, moved, where, named, DEPTH, payload=NAME_ONLY if named else False)
            return self._ranking(again, named, DEPTH) or ranking
        except FEEDBACK_ERRORS as error:
            log.warning("feedback_failed", reason=type(error).__name__)
            return ranking

    def _evidence(self, index: Index, ranking: dict[str, float]) -> list[feedback.Evidence]:
        """The best of `ranking` with their vectors."""
        ids = [point for point, _ in _best_of(ranking, feedback.HITS_READ)]
        read = self._http.post(f"{index.path}/points", {"ids": ids, "with_vector": True, "with_payload": False})
        found = {point["id"]: point["vector"] for point in read}
        return [
            feedback.Evidence(ranking[point], found[point][DENSE], SparseVector(**found[point][SPARSE]))
            for point in ids
            if point in found and DENSE in found[point]
        ]

    def _vectors(self, index: Index, query: str, vector: Sequence[float] | None) -> dict[str, Any]:
        """The question's vector in each half that can be searched: one without a term has nothing for BM25."""
        vectors: dict[str, Any] = {}
        if self._embed is not None and index.has_our_vectors:
            if vector is None:
                with measures().stage("embed"):
                    vector = self._embedded(self._embed, query)
            if vector is not None and self._fits(index, vector):
                vectors[DENSE] = vector
        indices, values = query_vector(query)
        if indices:
            vectors[SPARSE] = {"indices": indices, "values": values}
        return vectors

    def _embedded(self, embed: Callable[[str], Sequence[float]], query: str) -> Sequence[float] | None:
        """The question's vector; None when a model that nobody has named is refused: a key may lack it alone."""
        try:
            return embed(query)
        except ServiceError as error:
            if self._is_model_named or error.code not in REFUSED:
                raise
            log.warning("embedding_refused", code=error.code, todo="set EMBEDDING_MODEL to another, or to none")
            return None

    def _fits(self, index: Index, vector: Sequence[float]) -> bool:
        """Whether the collection has vectors of this size: a model's name may be given to another model.

        False while those of the other one are made.
        """
        if len(vector) == index.dense_size:
            return True
        if (found := self._look()) is not None and found != index:  # it was made anew
            raise NotFoundError(index.path)
        if index.is_followed:
            return False
        raise ServiceError(ErrorCode.INDEX_MISMATCH)

    def _reranked(self, query: str, hits: list[Hit]) -> list[Hit]:
        if self._rerank is None or not hits:
            return hits
        with measures().stage("rerank"):
            scores = self._rerank(query, [hit.text for hit in hits])
        if scores is None:
            return hits
        ranked = [replace(hit, score=score) for hit, score in zip(hits, scores, strict=True)]
        return sorted(ranked, key=lambda hit: -hit.score)


def _query(vector: Any, using: str, where: Sequence[Condition], limit: int, payload: Any) -> Condition:
    return {"query": vector, "using": using, "filter": {"must": where}, "limit": limit, "with_payload": payload}


def _best_of(ranking: dict[str, float], count: int) -> list[tuple[str, float]]:
    return sorted(ranking.items(), key=lambda item: (-item[1], item[0]))[:count]


def _best_first(points: Iterable[Point]) -> Ranking:
    """The points of several searches by one vector, each once."""
    scores = {point["id"]: point["score"] for point in points}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _hits(points: Iterable[Point], scores: dict[str, float]) -> Iterator[Hit]:
    """The chunks in the order of `scores`, read as they are asked for; a point that is none of ours is left out."""
    payloads = {point["id"]: point["payload"] for point in points}
    for point, score in scores.items():
        try:
            yield _hit(payloads[point], score)
        except (KeyError, TypeError):
            log.warning("point_unreadable")


def _hit(payload: dict[str, Any], score: float) -> Hit:
    fields = payload[METADATA]
    return Hit(
        document_id=fields["document_id"],
        filename=fields["filename"],
        page=fields["page"],
        last_page=fields.get("last_page") or fields["page"],
        chunk_index=fields["chunk_index"],
        heading=fields.get("heading") or "",
        title=fields.get("title") or "",
        version=fields["version"],
        page_label=fields.get("page_label") or "",
        last_page_label=fields.get("last_page_label") or "",
        table_headers=tuple(fields.get("table_headers") or ()),
        text=payload[TEXT],
        score=score,
    )
