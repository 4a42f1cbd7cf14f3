"""Why a document could not be indexed: an error as the job's code, and in the words that the catalog shows."""

from app.core.documents.files import StorageUnavailableError, StoredFileNotFoundError
from app.core.documents.operations import FileBusyError
from app.core.documents.records import STOPPED, DocumentError
from app.core.errors import MESSAGES, ErrorCode
from app.core.queue.connections import VALKEY_UNAVAILABLE
from ingest.reading.reasons import SENTENCES, FileError, Reason
from worker.runtime.boundary import Failure, failure_of

AGAIN = "Upload the document again in a while."
MESSAGES_OF_A_DOCUMENT = {
    ErrorCode.INDEX_UNAVAILABLE: f"The index could not be reached. {AGAIN}",
    ErrorCode.MODEL_UNAVAILABLE: f"The embedding model could not be reached or failed. {AGAIN}",
    ErrorCode.MODEL_TIMEOUT: f"The embedding model did not answer in time. {AGAIN}",
    ErrorCode.MODEL_RATE_LIMITED: f"The embedding model's provider is limiting our requests. {AGAIN}",
    ErrorCode.MODEL_AUTH_FAILED: "The embedding model's provider refused this service's key. The operator must set "
    "another, or EMBEDDING_MODEL=none, which indexes words alone.",
    ErrorCode.MODEL_REJECTED: "The embedding model's provider refused the request. The operator must set another "
    "EMBEDDING_MODEL, or EMBEDDING_MODEL=none, which indexes words alone.",
    ErrorCode.CONTEXT_TOO_LONG: "A part of the document is longer than the embedding model can read.",
    ErrorCode.CONTENT_FILTERED: "The embedding model's provider refused the document's text.",
    ErrorCode.JOB_TIMEOUT: "Indexing the document took longer than the service allows.",
}
"""`app.core.errors` words the codes for somebody who asked a question."""

UNAVAILABLE = (StorageUnavailableError, FileBusyError, *VALKEY_UNAVAILABLE)
"""What the store's or Valkey's absence looks like: another attempt may find them."""


def failure_of_document(error: BaseException) -> Failure:
    """The failure that `error` is for a document: a fault of its file is told by its `Reason`."""
    if isinstance(error, FileError):
        return _unreadable(error.reason)
    if isinstance(error, StoredFileNotFoundError):
        return _unreadable(Reason.UNREADABLE)
    code = ErrorCode.INDEX_UNAVAILABLE if isinstance(error, UNAVAILABLE) else failure_of(error).code
    return Failure(code, code.value, MESSAGES_OF_A_DOCUMENT.get(code, MESSAGES[code]))


def document_error(failure: Failure | None) -> DocumentError:
    """What the catalog says of `failure`; None: the job was told to end."""
    if failure is None:
        return STOPPED
    return DocumentError(code=failure.reason, message=failure.message)


def _unreadable(reason: Reason) -> Failure:
    return Failure(ErrorCode.DOCUMENT_UNREADABLE, reason.value, SENTENCES[reason])
