"""What ingestion jobs share in a worker process: the index, the store of files, and the children that read."""

from dataclasses import dataclass

from redis import Redis

from app.core.documents.files import DocumentStore, open_store
from app.core.queue.connections import connect
from app.core.services import redis_url
from app.core.settings import Settings
from ingest.chunking.splitter import Splitter
from ingest.indexing.embedder import Embedder, open_budget
from ingest.indexing.writer import Writer
from ingest.reading.pool import ReaderPool
from worker.index.vector_index import VectorIndex, open_index
from worker.resources import Process


@dataclass(frozen=True, slots=True)
class Ingestion:
    """The clients and the parser's children of this process."""

    settings: Settings
    connection: "Redis"
    index: VectorIndex
    store: DocumentStore
    reader: ReaderPool
    splitter: Splitter
    writer: Writer

    def close(self) -> None:
        """Close every connection and end the children; jobs must have ended."""
        self.writer.close()
        self.reader.__exit__(None, None, None)
        self.index.close()
        self.connection.close()


def open_ingestion(process: Process) -> Ingestion:
    """Make them. Opens no connection. Raises `ConfigurationError` when there is no Qdrant or Valkey to go to."""
    settings = process.settings
    connection, index = connect(redis_url(settings)), open_index(settings, must_tell=True)
    return Ingestion(
        settings=settings,
        connection=connection,
        index=index,
        store=open_store(settings),
        reader=ReaderPool(use_ocr=settings.ocr),
        splitter=Splitter(settings.chunk_size, settings.chunk_overlap),
        writer=Writer(index, Embedder(index, open_budget(connection, settings)).embed),
    )
