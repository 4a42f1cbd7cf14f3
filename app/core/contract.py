"""What the API and the workers agree on: queue and job names, job states, and the models that cross the queue.

Both sides check what they read with these models: Valkey's contents are as hostile as a request's body.
"""

import base64
import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from app.core.models import QuietModel

QUERY_QUEUE = "rag_queries"
INGEST_QUEUE = "rag_ingest"
WEBHOOK_QUEUE = "rag_webhooks"
PAGE_QUEUE = "rag_pages"
"""Looks at pages, which somebody waits for: a queue of its own, so that no long document is before them."""
QUEUES = (QUERY_QUEUE, INGEST_QUEUE, WEBHOOK_QUEUE, PAGE_QUEUE)
ANSWER_JOB = "worker.jobs.answer_question"
"""A job's function, by name: the API never imports the worker. A test holds that each of these resolves."""
TASK_JOB = "worker.jobs.do_task"
SEARCH_JOB = "worker.jobs.search_documents"
EMBED_JOB = "worker.jobs.embed_texts"
INGEST_JOB = "ingest.jobs.index_document"
DELETE_JOB = "ingest.jobs.delete_document"
ERASE_JOB = "ingest.erase_job.erase_tenant"
WEBHOOK_JOB = "worker.webhooks.deliver"
PAGE_JOB = "ingest.page_job.show_page"

DEFAULT_TENANT = "default"
DEFAULT_COLLECTION = "default"
QUERY_MAX_CHARACTERS = 8_000
TASK_MAX_CHARACTERS = 32_000
"""Of a chat client's task, some 8,000 tokens: four times a question, as it holds the chat that it is about, and what
most models' contexts take. A title needs no more of a long chat."""
TOP_K_MAX = 50
DOCUMENT_IDS_MAX = 100
TURNS_READ = 6
"""Earlier turns that a question is answered in the light of: more are seldom leaned on, and each costs tokens."""
TURN_ANSWER_MAX_CHARACTERS = 8_000
"""Of an earlier answer that a caller brings; the model is shown less."""
INSTRUCTIONS_MAX_CHARACTERS = 4_000
"""Of an operator, a collection or a caller: a page, some 1,000 tokens, a third of what the sources take."""
EMBED_TEXTS_MAX = 128
"""Texts of one job: as many as are embedded in one request. Their vectors, of 4,096 dimensions, are 3 MiB in base64
of the 4 MiB that a result may have."""
EMBED_VECTOR_CHARACTERS_MAX = 32 * 1024
"""Of a vector in base64: 6,144 dimensions."""
CITATIONS_MAX = 1_000
"""Of an answer: more than it ever has. A hostile record could name one citation a hundred thousand times."""
MISSING_PAGES_MAX = 20_000
ERASED_KINDS_MAX = 100
"""Of things that a tenant has: several times what there are."""
QUOTE_MAX_CHARACTERS = 4_000
"""Ten times what a citation quotes."""
MARKS_MAX = 1_000
"""Lines of a quote that are marked on a page: one of `QUOTE_MAX_CHARACTERS` has some hundred."""
WORDS_MAX_CHARACTERS = 100_000
"""Of a page, ten times those of the densest page of a 10-K filing; the rest is not shown as text."""
WEBHOOK_SECRET_BYTES = (24, 64)
"""Length of a signing secret (Standard Webhooks, "Signature scheme")."""

Query = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=QUERY_MAX_CHARACTERS),
    Field(description="The question, in any language."),
]
LABEL_MAX_CHARACTERS = 128
LABEL = re.compile(r"^\.{0,127}[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}$")
"""The characters of `Label`; not of dots alone, which as a folder's name lead out of it."""
Label = Annotated[str, StringConstraints(pattern=LABEL.pattern, max_length=LABEL_MAX_CHARACTERS)]
"""What names tenants, collections, documents, sessions and requests: each becomes part of a key or a path."""


def is_label(text: str) -> bool:
    """Whether `text` is a `Label`."""
    return len(text) <= LABEL_MAX_CHARACTERS and LABEL.fullmatch(text) is not None


Instructions = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=INSTRUCTIONS_MAX_CHARACTERS)
]
"""What an answer should be like: its tone, its form, its terms."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Page = Annotated[int, Field(ge=1, le=2**31 - 1)]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class JobStatus(StrEnum):
    """A job's state, in RQ's words."""

    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never change again."""
        return self in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED)


class Stage(StrEnum):
    """What a started job is doing."""

    RETRIEVAL = "retrieval"
    GENERATION = "generation"
    PARSING = "parsing"
    EMBEDDING = "embedding"


class Frozen(QuietModel):
    """A model that rejects what it does not know and is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchFilters(Frozen):
    """What a search may be narrowed by; all that is given must hold. Nothing else reaches a filter of Qdrant's."""

    document_ids: tuple[Label, ...] | None = Field(None, min_length=1, max_length=DOCUMENT_IDS_MAX)
    filenames: tuple[Filename, ...] | None = Field(None, min_length=1, max_length=DOCUMENT_IDS_MAX)
    page_from: Page | None = Field(None, description="Pages from this one on")
    page_to: Page | None = Field(None, description="Pages up to this one")
    ingested_from: AwareDatetime | None = Field(None, description="Indexed at this time or later")
    ingested_to: AwareDatetime | None = Field(None, description="Indexed at this time or before")

    @property
    def chooses_documents(self) -> bool:
        """Whether the search is confined to documents that are named here."""
        return self.document_ids is not None or self.filenames is not None


class SearchJob(Frozen):
    """A search on its way to a worker."""

    query: Query
    tenant: Label = DEFAULT_TENANT
    collection: Label = DEFAULT_COLLECTION
    top_k: int | None = Field(None, ge=1, le=TOP_K_MAX)
    filters: SearchFilters | None = None
    request_id: Label | None = None


Caching = Literal["use", "refresh", "off"]
"""Whether a kept answer will do: it will; it is to be made anew; it is neither to be looked for nor to be kept."""


class EarlierTurn(Frozen):
    """An earlier question of a conversation, and what was answered."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=QUERY_MAX_CHARACTERS)]
    answer: Annotated[str, StringConstraints(max_length=TURN_ANSWER_MAX_CHARACTERS)] = ""


class AnswerJob(SearchJob):
    """A question on its way to a worker.

    `session_id` names a conversation that is kept here; `turns` are those of one that its caller keeps, the oldest
    first. With turns given, those kept here are not read. `instructions` are the caller's, which stand below
    our rules in the prompt.
    """

    session_id: Label | None = None
    cache: Caching = "use"

    turns: tuple[EarlierTurn, ...] = Field((), max_length=TURNS_READ)
    instructions: Instructions | None = None


class TaskJob(Frozen):
    """A chat client's own prompt on its way to the model: a title, tags or the like. Nothing is searched for it.

    A kind of its own, so that whatever holds for questions (conversations, caches, a log of them) cannot hold for it.
    """

    task: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TASK_MAX_CHARACTERS)]
    tenant: Label = DEFAULT_TENANT
    request_id: Label | None = None


class EmbedJob(Frozen):
    """Texts on their way to the embedding model, which the asker named: another one's vectors are no answer."""

    texts: tuple[Annotated[str, StringConstraints(min_length=1, max_length=QUERY_MAX_CHARACTERS)], ...] = Field(
        min_length=1, max_length=EMBED_TEXTS_MAX
    )
    model: str = Field(max_length=256)
    tenant: Label = DEFAULT_TENANT
    request_id: Label | None = None


class IngestJob(Frozen):
    """A file of the document store on its way into the index."""

    tenant: Label = DEFAULT_TENANT
    collection: Label = DEFAULT_COLLECTION
    document_id: Label
    filename: Filename
    sha256: Sha256
    source: str | None = None
    request_id: Label | None = None


class DeleteJob(Frozen):
    """A document on its way out of the index."""

    tenant: Label = DEFAULT_TENANT
    collection: Label = DEFAULT_COLLECTION
    document_id: Label
    request_id: Label | None = None


class EraseJob(Frozen):
    """All that `erased`, a tenant, has here, on its way out. The job is the asker's, whose tenant may be another."""

    tenant: Label = DEFAULT_TENANT
    erased: Label
    request_id: Label | None = None


PictureWidth = Literal[900, 1800]
"""Of a page's picture, in pixels: for a screen, and for a closer look. No others: each is drawn once and kept."""


class PageJob(Frozen):
    """A page of a stored file that somebody wants to see, with `quote` marked on it.

    `last_page`: where the quote ends, when that is the page after.
    """

    tenant: Label = DEFAULT_TENANT
    document_id: Label
    sha256: Sha256
    filename: Filename
    page: Page
    quote: Annotated[str, StringConstraints(min_length=1, max_length=QUOTE_MAX_CHARACTERS)] | None = None
    last_page: Page | None = None
    width: PictureWidth = 900
    request_id: Label | None = None


def is_signing_secret(secret: str) -> bool:
    """Whether `secret` is one as Standard Webhooks writes them: `whsec_`, which may be missing, and base64."""
    least, most = WEBHOOK_SECRET_BYTES
    try:
        return least <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= most
    except ValueError:  # binascii's error is one, too
        return False


class Webhook(Frozen):
    """Where to tell that a job has ended, and the secret that signs the news (Standard Webhooks: `whsec_...`)."""

    url: Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s]+$")]
    secret: SecretStr | None = Field(None, max_length=256)

    def plain(self) -> dict[str, str]:
        """For Valkey, where only the delivery reads it."""
        return {"url": self.url, "secret": self.secret.get_secret_value() if self.secret else ""}


class WebhookJob(Frozen):
    """The news that a job has ended, on its way to a client's server. Its URL and secret are not on the queue."""

    tenant: Label = DEFAULT_TENANT
    job_id: Label
    request_id: Label | None = None


class Citation(Frozen):
    """Where a statement of the answer stands."""

    n: int = Field(ge=1, description="The mark in the answer: [n]; the citations of one page share it")
    document_id: str
    filename: str
    page: int = Field(ge=1, description="Counted from 1")
    last_page: int | None = Field(None, ge=1, description="Where the quote ends, when that is another page")
    page_label: str = Field("", description="What the document calls the page: iv, A-3; empty when its number")
    quote: str = Field(description="Words that stand on that page")
    score: float = Field(description="Retrieval score; comparable within one answer only")
    url: str | None = Field(None, description="The page in the document itself; null when its file is not kept here")


class Usage(Frozen):
    """Tokens that the model's provider counted."""

    input_tokens: int = Field(0, ge=0)
    output_tokens: int = Field(0, ge=0)


class Timings(Frozen):
    """Where the time went, in milliseconds."""

    queued: float = Field(ge=0)
    retrieval: float = Field(ge=0)
    generation: float = Field(ge=0)
    total: float = Field(ge=0)


Retrieval = Literal["hybrid", "words"]
"""How chunks are looked for: by meaning and words, or by words alone."""
RETRIEVAL_NOTE = "words: the index has no vectors of the embedding model, or not yet, and was searched by words alone"


Cached = Literal["exact", "semantic"]
"""How an answer was found without asking the model: the same question had it before, or another wording of it."""


class AnswerResult(Frozen):
    """What a finished question's job returns, and a chat client's task: an empty answer where there is no model."""

    answer: str
    mode: Literal["model", "extractive", "task"] = Field(
        description="task: what a chat client asked for itself, by the model and from no document"
    )
    grounded: bool = Field(description="Whether the answer rests on the citations; false when nothing was found")
    citations: tuple[Citation, ...] = Field(max_length=CITATIONS_MAX)
    model: str | None
    usage: Usage
    finish_reason: Literal["stop", "length"] = Field(
        "stop", description="length: the model came to its limit, and the answer is cut off"
    )
    standalone_question: str | None = Field(
        None,
        max_length=QUERY_MAX_CHARACTERS,
        description="What was searched for, when the question leaned on what was said before it; else null",
    )
    cached: Cached | None = Field(
        None,
        description="exact: the answer that the same question was given before, while no document has changed; "
        "semantic: that of `cached_question`",
    )
    cached_question: str | None = Field(
        None,
        max_length=QUERY_MAX_CHARACTERS,
        description="Of a `semantic` answer: the question that it was given to, which has the same words but for "
        "their forms",
    )
    retrieval: Retrieval | None = Field(None, description=RETRIEVAL_NOTE)
    timings_ms: Timings

    @field_validator("cached", mode="before")
    @classmethod
    def _was_a_flag(cls, cached: object) -> object:
        """Records of 0.1 say false."""
        return None if cached is False else cached


def page_url(document_id: str, page: int) -> str:
    """Where a document's page is to be read; a viewer opens it there (RFC 8118, "page")."""
    return f"/documents/{document_id}/file#page={page}"


class SearchHit(Frozen):
    """A chunk that a search found."""

    document_id: str
    filename: str
    page: int = Field(ge=1, description="Counted from 1")
    last_page: int | None = Field(None, ge=1, description="Where the chunk ends, when that is another page")
    page_label: str = Field("", description="What the document calls the page: iv, A-3; empty when its number")
    heading: str = ""
    text: str
    score: float = Field(description="Comparable within one search only")
    url: str | None = None


class SearchResult(Frozen):
    """What a finished search's job returns."""

    hits: tuple[SearchHit, ...] = Field(max_length=TOP_K_MAX)
    retrieval: Retrieval | None = Field(None, description=RETRIEVAL_NOTE)
    timings_ms: Timings


class EmbedResult(Frozen):
    """What a finished embedding's job returns: each vector in base64 of 32-bit floats, the least byte first."""

    vectors: tuple[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=EMBED_VECTOR_CHARACTERS_MAX)],
        ...,
    ] = Field(max_length=EMBED_TEXTS_MAX)


Points = Annotated[float, Field(allow_inf_nan=False, ge=-1_000_000, le=1_000_000)]
MarkBox = tuple[Points, Points, Points, Points]
"""Left, top, width and height, in points from the upper left corner of the page as it is shown."""
Marks = Annotated[tuple[MarkBox, ...], Field(max_length=MARKS_MAX)]


class PageResult(Frozen):
    """What a finished look's job returns. Without a picture, width and height are 0; beyond the end, all is empty."""

    page: Page
    pages: int = Field(ge=0, description="How many the document has")
    page_label: str = Field("", max_length=1_000)
    width: Points = 0.0
    height: Points = 0.0
    has_picture: bool = False
    boxes: Marks = ()
    next_boxes: Marks = ()
    words: str = Field("", max_length=WORDS_MAX_CHARACTERS)
    span: tuple[int, int] | None = Field(None, description="Where the quote stands in `words`: begin and end")

    @model_validator(mode="after")
    def _span_is_within(self) -> Self:
        if self.span is not None and not 0 <= self.span[0] < self.span[1] <= len(self.words):
            raise ValueError("the span is not within the words")
        return self


class IngestResult(Frozen):
    """What a finished ingestion's job returns."""

    document_id: str
    status: Literal["indexed", "unchanged", "deleted"]
    pages: int = Field(0, ge=0)
    chunks: int = Field(0, ge=0)
    missing_pages: tuple[int, ...] = Field((), max_length=MISSING_PAGES_MAX)


class EraseResult(Frozen):
    """What a finished erasing returns: how many things of each kind were erased."""

    tenant: Label
    erased: dict[Label, Annotated[int, Field(ge=0)]] = Field(max_length=ERASED_KINDS_MAX)
