"""An index's vectors made anew by another embedding model, from the chunks that are there: no file is read again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import chain

from app.core.errors import ErrorCode, ServiceError
from ingest.indexing.embedder import Embedder
from ingest.indexing.neighbour_vectors import in_context
from ingest.indexing.writer import EMBED_IN_FLIGHT
from worker.http.qdrant import BadRequestError, NotFoundError
from worker.index.migration import Migration, text_to_embed
from worker.index.points import Document, Point
from worker.index.vector_index import VectorIndex

GROUP_CHUNKS = 128
"""Of documents that are read, embedded and written together: one request to the model, and little lost by a kill."""
GROUPS_AT_ONCE = EMBED_IN_FLIGHT
"""While one is written, the others' requests are in flight."""
COPY_ATTEMPTS = 5
"""Of a document that changes while it is copied; the next pass takes it up."""

OnProgress = Callable[[int, int], None]
"""Is told how many chunks are done, and of how many."""


class Reembedding:
    """Brings a migration to its end. `may_swap` is asked before the swap: whether no other process is at it.

    `run` raises `ServiceError`; what is copied by then is there when it is run again.
    """

    def __init__(
        self,
        index: VectorIndex,
        migration: Migration,
        embedder: Embedder,
        *,
        on_progress: OnProgress,
        may_swap: Callable[[], bool],
    ) -> None:
        self._index = index
        self._migration = migration
        self._embedder = embedder
        self._on_progress = on_progress
        self._may_swap = may_swap
        self._done = 0
        self._requests = ThreadPoolExecutor(EMBED_IN_FLIGHT, thread_name_prefix="embed")
        self._groups = ThreadPoolExecutor(GROUPS_AT_ONCE, thread_name_prefix="copy")

    def run(self) -> int:
        """Copy until nothing lacks, and swap; how many chunks were embedded."""
        try:
            return self._run()
        except BadRequestError as error:
            raise ServiceError(ErrorCode.INTERNAL) from error
        except NotFoundError as error:  # another process has swapped
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
        finally:
            self._embedder.stop()
            for pool in (self._groups, self._requests):
                pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> int:
        """Until a pass has nothing to copy and nothing to delete: then nothing was spoilt by the one before it."""
        embedded = 0
        total = self._migration.old.points
        while True:
            missing = self._migration.missing()
            lacking = sum(document.chunks for document in missing)
            total = max(total, lacking)
            self._done = total - lacking
            self._on_progress(self._done, total)
            copied = self._copy_all(missing, total)
            dropped = self._migration.drop_gone()
            embedded += copied
            if not copied and not dropped:
                break
        if not self._may_swap():
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)
        self._migration.swap()
        self._index.tell_swapped()
        return embedded

    def _copy_all(self, documents: Sequence[Document], total: int) -> int:
        """How many chunks were copied."""
        futures = {self._groups.submit(self._copy, group) for group in _groups(documents)}
        copied = 0
        while futures:
            done, futures = wait(futures, return_when=FIRST_EXCEPTION, timeout=_TICK_SECONDS)
            for future in done:
                chunks, seen = future.result()
                copied += chunks
                self._done += seen
            if done:
                self._on_progress(min(self._done, total), total)
        return copied

    def _copy(self, group: Sequence[Document]) -> tuple[int, int]:
        """Copy the documents of a group; how many chunks were written, and how many need not be looked at again."""
        seen = sum(document.chunks for document in group)
        left = [document for document in group if not self._migration.is_copied(document)]
        copied = 0
        for _ in range(COPY_ATTEMPTS):
            read = [(document, self._migration.read(document)) for document in left]
            read = [(document, points) for document, points in read if points]
            copied += sum(len(points) for _, points in read)
            vectors = self._vectors([points for _, points in read])
            changed = [
                document
                for (document, points), dense in zip(read, vectors, strict=True)
                if not self._migration.copy(document, points, dense)
            ]
            left = [now for document in changed if (now := self._migration.standing(document)) is not None]
            if not left:
                break
        return copied, seen

    def _vectors(self, documents: Sequence[Sequence[Point]]) -> Iterator[Sequence[Sequence[float]] | None]:
        """Of each document, its chunks' vectors, or None without a model."""
        texts = [text_to_embed(point) for points in documents for point in points]
        if not self._index.has_model:
            yield from (None for _ in documents)
            return
        size = self._index.batch_size
        slices = [texts[start : start + size] for start in range(0, len(texts), size)]
        requests = [self._requests.submit(self._embedder.embed, part) for part in slices]
        vectors = chain.from_iterable(_answers(requests))
        for points in documents:
            yield in_context([next(vectors) for _ in points])


_TICK_SECONDS = 0.5
"""How late the display learns of what is copied."""


def _answers(requests: Iterable[Future[Sequence[Sequence[float]] | None]]) -> Iterator[Sequence[Sequence[float]]]:
    for request in requests:
        if (answer := request.result()) is None:
            raise ServiceError(ErrorCode.INTERNAL)  # there is a model, which has been asked
        yield answer


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """As many documents as make a request; a long one alone."""
    group: list[Document] = []
    for document in documents:
        if group and sum(each.chunks for each in group) + document.chunks > GROUP_CHUNKS:
            yield group
            group = []
        group.append(document)
    if group:
        yield group
