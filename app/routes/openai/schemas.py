"""Requests and responses of OpenAI's protocol, as far as this service speaks it.

Fields that are not named here are ignored, where that leaves the answer right: sampling (`temperature`, `top_p`,
`seed`, `stop`, penalties, `logit_bias`), lengths (`max_tokens`, `max_completion_tokens`, `max_output_tokens`),
`tools` that the model need not call, `user`, `reasoning`, `verbosity`, caching, `include`,
`truncation`. Of a conversation, the last user message is the question, and of what was said before it the last six
turns are read. System and developer messages and `instructions` stand below the service's own rules, which keep an
answer to the documents. What would make the answer wrong is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, field_validator

from app.core.contract import EMBED_TEXTS_MAX, INSTRUCTIONS_MAX_CHARACTERS, QUERY_MAX_CHARACTERS, TURNS_READ
from app.core.models import QuietModel
from app.core.queue.batches import FILE_ID, KEEP_SECONDS, KEEP_SECONDS_MIN, Endpoint, LineError

METADATA_PAIRS_MAX = 16
METADATA_KEY_MAX = 64
METADATA_VALUE_MAX = 512

MODEL_EXAMPLE = "rag-queue"
QUESTION_EXAMPLE = "How long is the warranty?"


class ErrorDetail(QuietModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(QuietModel):
    """An error as OpenAI's API has it."""

    error: ErrorDetail


class Model(QuietModel):
    """A model that can be asked: one for each collection of documents."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(QuietModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


# ------------------------------------------------------------------------------------------- requests


class ContentPart(QuietModel):
    """A part of a message. Only text can be asked about: `text` or `input_text`."""

    type: str
    text: str | None = None


class Message(QuietModel):
    """A message, or another item of a conversation."""

    type: str = "message"
    role: str | None = None
    content: str | list[ContentPart] | None = None


class StreamOptions(QuietModel):
    """What a stream has beside the answer."""

    include_usage: bool | None = None


class Format(QuietModel):
    """The form of the answer; only `text`."""

    type: str = "text"


class TextOptions(QuietModel):
    """Options of the answer's text."""

    format: Format | None = None


class ChatCompletionRequest(QuietModel):
    """POST /v1/chat/completions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": MODEL_EXAMPLE, "messages": [{"role": "user", "content": QUESTION_EXAMPLE}]}]
        }
    )

    model: str = Field(description="`rag-queue`, or `rag-queue:{collection}`")
    messages: list[Message] = Field(
        min_length=1, description="The last one of the user is the question, read with six turns before"
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = Field(None, description="True: the job goes on when the client leaves")
    n: int | None = Field(None, description="1")
    tool_choice: str | dict[str, Any] | None = Field(None, description="`none` or `auto`: no tool is ever called")
    function_call: str | dict[str, Any] | None = Field(None, description="`none` or `auto`")
    response_format: Format | None = None
    modalities: list[str] | None = Field(None, description="`text`")
    logprobs: bool | None = Field(None, description="false")
    service_tier: str | None = Field(
        None, description="`flex`: for bulk work, at low priority; any other is the usual one"
    )


class ResponseRequest(QuietModel):
    """POST /v1/responses. A response can be retrieved until it expires, unless `store` is false."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": MODEL_EXAMPLE, "input": QUESTION_EXAMPLE, "background": True}]}
    )

    model: str = Field(description="`rag-queue`, or `rag-queue:{collection}`")
    input: str | list[Message] = Field(description="The question, or a conversation that ends with it")
    instructions: str | None = Field(
        None, description=f"What answers should be like; {INSTRUCTIONS_MAX_CHARACTERS:,} characters are read"
    )
    background: bool | None = Field(None, description="Answer at once; retrieve the response later")
    stream: bool | None = None
    store: bool | None = Field(
        None,
        description="True: it goes on when the client leaves. False: it can't be retrieved or continued, and is "
        "removed once it is answered; not together with `background`",
    )
    metadata: dict[str, Any] | None = Field(None, description="16 pairs of strings; they come back as they are")
    tool_choice: str | dict[str, Any] | None = Field(None, description="`none` or `auto`: no tool is ever called")
    text: TextOptions | None = None
    previous_response_id: str | None = Field(
        None, max_length=256, description=f"The response to be continued: the last {TURNS_READ} turns are read"
    )
    conversation: str | dict[str, Any] | None = Field(
        None, description='The name of the conversation that it is asked in, or `{"id": name}`; not with the former'
    )
    service_tier: str | None = Field(
        None, description="`flex`: for bulk work, at low priority; any other is the usual one"
    )
    prompt: dict[str, Any] | None = Field(None, description="Not supported")

    @field_validator("metadata")
    @classmethod
    def _is_small(cls, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
        if metadata is not None and not is_metadata(metadata):
            raise ValueError("must be at most 16 pairs of strings, keys of 64 and values of 512 characters at most")
        return metadata


def is_metadata(metadata: dict[str, Any]) -> bool:
    """Whether these are at most 16 pairs of strings, of the lengths that OpenAI allows."""
    return len(metadata) <= METADATA_PAIRS_MAX and all(
        _is_text(key, METADATA_KEY_MAX) and _is_text(value, METADATA_VALUE_MAX) for key, value in metadata.items()
    )


def _is_text(value: object, limit: int) -> bool:
    return isinstance(value, str) and len(value) <= limit and is_unicode(value)


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON can spell halves of surrogate pairs, which are no characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --------------------------------------------------------------------------------- chat completions


class UrlCitation(QuietModel):
    """Where a statement stands: `text[start_index:end_index]` is its mark in the answer, [n]."""

    start_index: int
    end_index: int
    url: str = Field(description="The page in the document")
    title: str = Field(description="The document's file name and the page")


class ChatAnnotation(QuietModel):
    """A citation of a chat completion."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class ChatMessage(QuietModel):
    """The answer. `refusal` is there when the model's provider refused."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    annotations: list[ChatAnnotation]


class ChatChoice(QuietModel):
    """The one answer."""

    index: Literal[0] = 0
    message: ChatMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"]


class ChatUsage(QuietModel):
    """Tokens that the model's provider counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(QuietModel):
    """An answer with its citations."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage


# ---------------------------------------------------------------------------------------- responses


class ResponseAnnotation(UrlCitation):
    """A citation of a response."""

    type: Literal["url_citation"] = "url_citation"


class OutputText(QuietModel):
    """The answer's text."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[ResponseAnnotation]
    logprobs: list[Any] = Field([])


class OutputMessage(QuietModel):
    """The answer."""

    type: Literal["message"] = "message"
    id: str
    role: Literal["assistant"] = "assistant"
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[OutputText]


class InputTokensDetails(QuietModel):
    """Always zero: nothing is known of the provider's caches."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(QuietModel):
    """Always zero: nothing is known of reasoning tokens."""

    reasoning_tokens: int = 0


class ResponseUsage(QuietModel):
    """Tokens that the model's provider counted."""

    input_tokens: int
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int


class ResponseFailure(QuietModel):
    """Why a response failed; `type` is this service's own code."""

    code: Literal["server_error", "rate_limit_exceeded"]
    message: str
    type: str


class IncompleteDetails(QuietModel):
    """Why a response is incomplete."""

    reason: Literal["content_filter", "max_output_tokens"]


class ConversationName(QuietModel):
    """The conversation that a response was asked in."""

    id: str


class ResponseObject(QuietModel):
    """A response. `output` is empty unless it is completed, or incomplete as the answer is cut off."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "failed", "cancelled", "incomplete"]
    background: bool
    model: str
    output: list[OutputMessage]
    error: ResponseFailure | None
    incomplete_details: IncompleteDetails | None
    usage: ResponseUsage | None
    metadata: dict[str, str]
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: ConversationName | None = None
    store: bool = True
    parallel_tool_calls: bool = False
    tool_choice: Literal["auto"] = "auto"
    tools: list[Any] = Field([])
    text: TextOptions = TextOptions(format=Format())


class InputText(QuietModel):
    """The question."""

    type: Literal["input_text"] = "input_text"
    text: str


class InputMessage(QuietModel):
    """What was asked."""

    type: Literal["message"] = "message"
    id: str
    role: Literal["user"] = "user"
    status: Literal["completed"] = "completed"
    content: list[InputText]


class InputItemList(QuietModel):
    """What a response answers: one message, as long as its job is kept."""

    object: Literal["list"] = "list"
    data: list[InputMessage]
    first_id: str | None
    last_id: str | None
    has_more: Literal[False] = False


class ConversationRequest(QuietModel):
    """POST /v1/conversations."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})

    items: list[dict[str, Any]] | None = Field(None, description="Not supported")
    metadata: dict[str, Any] | None = Field(None, description="Not supported")


class ConversationObject(QuietModel):
    """A conversation."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str] = Field({})


class ConversationDeleted(QuietModel):
    """The conversation is gone, with what was asked and answered."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


class ConversationItemList(QuietModel):
    """Some of a conversation's messages."""

    object: Literal["list"] = "list"
    data: list[InputMessage | OutputMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseDeleted(QuietModel):
    """The response is gone, with its question and answer."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


# --------------------------------------------------------------------------------------- embeddings


def _unicode(text: str) -> str:
    if not is_unicode(text):
        raise ValueError("is not Unicode")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=QUERY_MAX_CHARACTERS), AfterValidator(_unicode)]


class EmbeddingsRequest(QuietModel):
    """POST /v1/embeddings."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "text-embedding-3-small", "input": [QUESTION_EXAMPLE]}]}
    )

    model: str = Field(description="The operator's EMBEDDING_MODEL; GET /v1/models lists it")
    input: (
        Text | Annotated[list[Text], Field(min_length=1, max_length=EMBED_TEXTS_MAX)] | list[int] | list[list[int]]
    ) = Field(description=f"A text, or up to {EMBED_TEXTS_MAX}; tokens are not supported")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="`float`, or `base64` of 32-bit floats"
    )
    dimensions: int | None = Field(None, description="Not supported: the model's own")


class Embedding(QuietModel):
    """The vector of one text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(QuietModel):
    """Always zero: tokens of embeddings are not counted."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingList(QuietModel):
    """A vector for each text, in order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage = EmbeddingsUsage()


# --------------------------------------------------------------------------------- files and batches


class FileObject(QuietModel):
    """A file that a batch reads or has written. Times are seconds since 1970."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"] = "processed"


class FileList(QuietModel):
    """Some of the files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(QuietModel):
    """The file is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class ExpiresAfter(QuietModel):
    """When a file goes."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=KEEP_SECONDS_MIN, le=KEEP_SECONDS)


class BatchRequest(QuietModel):
    """POST /v1/batches."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "input_file_id": "file-0f5c1a9be7d94c4e8f2b6a3d1c0e9f87",
                    "endpoint": "/v1/responses",
                    "completion_window": "24h",
                }
            ]
        }
    )

    input_file_id: str = Field(
        pattern=FILE_ID.pattern,
        description='JSON lines: {"custom_id": "1", "method": "POST", "url": the endpoint, "body": its request}',
    )
    endpoint: Endpoint = Field(description="Where each line's request would be sent")
    completion_window: Literal["24h"]
    metadata: dict[str, Any] | None = Field(None, description="16 pairs of strings; they come back as they are")
    output_expires_after: ExpiresAfter | None = Field(
        None, description="When the output and the error file go; unset: after 30 days"
    )

    @field_validator("metadata")
    @classmethod
    def _is_small(cls, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
        if metadata is not None and not is_metadata(metadata):
            raise ValueError("must be at most 16 pairs of strings, keys of 64 and values of 512 characters at most")
        return metadata


class BatchErrors(QuietModel):
    """What is wrong with a batch's file."""

    object: Literal["list"] = "list"
    data: list[LineError]


class BatchRequestCounts(QuietModel):
    """How many lines there are, and how many have ended well or not."""

    total: int
    completed: int
    failed: int


class BatchObject(QuietModel):
    """A batch. Times are seconds since 1970."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: Endpoint
    errors: BatchErrors | None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Literal[
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
    ]
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: BatchRequestCounts
    metadata: dict[str, str] | None


class BatchList(QuietModel):
    """Some of the batches, the newest first."""

    object: Literal["list"] = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


def stream_or_json(description: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response 200 of a route that gives JSON or, when asked, server-sent events."""
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    return {200: {"description": f"{description} as server-sent events", "content": events}}
