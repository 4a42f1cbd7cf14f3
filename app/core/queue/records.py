"""RQ's record of a job, written and read: plain functions between its fields and our models.

RQ's job in Valkey is the one record of a job's state. Whatever is read here is checked: it may be hostile.
"""

import json
import pickle
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast
from zlib import compress, decompressobj
from zlib import error as ZlibError  # noqa: N812  (it is a class)

from pydantic import BaseModel, ValidationError
from redis import Redis
from rq import Retry
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.utils import now, utcformat

from app.core.contract import (
    ANSWER_JOB,
    DELETE_JOB,
    EMBED_JOB,
    ERASE_JOB,
    INGEST_JOB,
    INGEST_QUEUE,
    PAGE_JOB,
    PAGE_QUEUE,
    QUERY_QUEUE,
    SEARCH_JOB,
    TASK_JOB,
    WEBHOOK_JOB,
    WEBHOOK_QUEUE,
    AnswerJob,
    AnswerResult,
    DeleteJob,
    EmbedJob,
    EmbedResult,
    EraseJob,
    EraseResult,
    IngestJob,
    IngestResult,
    JobStatus,
    PageJob,
    PageResult,
    SearchJob,
    SearchResult,
    Stage,
    TaskJob,
    WebhookJob,
)
from app.core.errors import ErrorCode, JobError
from app.core.events import EventType
from app.core.queue.packing import unpacked
from app.core.serializer import DATA_BYTES_MAX, PlainSerializer
from app.core.settings import Settings

Payload = AnswerJob | TaskJob | SearchJob | EmbedJob | IngestJob | DeleteJob | EraseJob | WebhookJob | PageJob
Result = AnswerResult | SearchResult | EmbedResult | IngestResult | EraseResult | PageResult


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: its name in the record, its function, its queue, and what it returns."""

    name: str
    function: str
    queue: str
    result: type[BaseModel] | None
    retry_intervals: tuple[int, ...] = ()
    """Seconds before each retry; empty: MAX_ATTEMPTS, and the job itself says when."""
    keep_seconds: int | None = None
    """How long the job is kept when it has ended; None: as the settings say."""

    def result_seconds(self, settings: Settings) -> int:
        """How long a finished job is kept."""
        return self.keep_seconds or settings.result_ttl_seconds

    def failure_seconds(self, settings: Settings) -> int:
        """How long a failed job is kept."""
        return self.keep_seconds or settings.failure_ttl_seconds


WEBHOOK_RETRY_SECONDS = (5, 60, 300, 1800, 7200)
"""Close to the schedule that Standard Webhooks recommends ("Deliverability and reliability")."""
WEBHOOK_TIMEOUT_SECONDS = 60
PAGE_TIMEOUT_SECONDS = 60
"""A page has a quarter of that; the rest is for fetching its file."""
PAGE_RETRY_SECONDS = (1,)
"""For a look whose worker died, or whose store was away for a moment. Nobody waits for a third."""
PAGE_KEEP_SECONDS = 60
"""A look is no answer to be fetched later. While it is kept, who asks the same is given it again."""

KINDS: dict[type[BaseModel], Kind] = {
    AnswerJob: Kind("answer", ANSWER_JOB, QUERY_QUEUE, AnswerResult),
    TaskJob: Kind("task", TASK_JOB, QUERY_QUEUE, AnswerResult),
    SearchJob: Kind("search", SEARCH_JOB, QUERY_QUEUE, SearchResult),
    EmbedJob: Kind("embed", EMBED_JOB, QUERY_QUEUE, EmbedResult),
    IngestJob: Kind("ingest", INGEST_JOB, INGEST_QUEUE, IngestResult),
    DeleteJob: Kind("delete", DELETE_JOB, INGEST_QUEUE, IngestResult),
    EraseJob: Kind("erase", ERASE_JOB, INGEST_QUEUE, EraseResult),
    WebhookJob: Kind("webhook", WEBHOOK_JOB, WEBHOOK_QUEUE, None, WEBHOOK_RETRY_SECONDS),
    PageJob: Kind("page", PAGE_JOB, PAGE_QUEUE, PageResult, PAGE_RETRY_SECONDS, PAGE_KEEP_SECONDS),
}
_KIND_BY_NAME = {kind.name: kind for kind in KINDS.values()}

_STATUS = {
    RqStatus.CREATED: JobStatus.QUEUED,
    RqStatus.QUEUED: JobStatus.QUEUED,
    RqStatus.DEFERRED: JobStatus.QUEUED,
    RqStatus.SCHEDULED: JobStatus.QUEUED,
    RqStatus.STARTED: JobStatus.STARTED,
    RqStatus.FINISHED: JobStatus.FINISHED,
    RqStatus.FAILED: JobStatus.FAILED,
    RqStatus.STOPPED: JobStatus.STOPPED,
    RqStatus.CANCELED: JobStatus.STOPPED,
}
_STAGE_AFTER = {
    EventType.STARTED.value: Stage.RETRIEVAL,
    EventType.RETRIEVED.value: Stage.GENERATION,
    EventType.DELTA.value: Stage.GENERATION,
}
_LOST = ("AbandonedJobError", "Work-horse terminated", "stuck in intermediate queue")
"""What RQ writes into a job's record when its worker died."""

TOKENS = ("input_tokens", "output_tokens")
"""Fields of a finished job's record beside RQ's own: what its answer has cost."""

TRACEPARENT = "traceparent"
"""The field of a job's metadata that says which step of which trace has sent it (`app.core.tracing`)."""
KEPT_META = ("tenant", "kind", "retries", TRACEPARENT)
"""What stays of the metadata of a job that is sent back."""

RUNNING_FIELDS = (
    *("timeout", "failure_ttl", "last_heartbeat", "retry_intervals", "enqueue_at_front_on_retry"),
    *("success_callback_name", "failure_callback_name", "stopped_callback_name", "group_id"),
)
"""Fields of RQ's record that a finished job has no use for; RQ reads a record without them as well."""

RECORD_BYTES_MAX = 2 * DATA_BYTES_MAX
"""Of what is read of a job at once: RQ keeps a result in base64, which takes a third more."""
MOMENT_MAX = 10**13
"""Milliseconds since 1970, in the year 2286: what is more is no time of ours."""
COMPRESS_BYTES_MIN = 1_024
PACKED = "packed"
"""The field of a result that holds a long one, compressed, in the place of RQ's `return_value`."""
PACK_BYTES_MIN = 512
"""Shorter results stand as RQ has them."""
FAST = 1
"""zlib's level: that of RQ takes longer and saves little more."""
NOWHERE: Any = cast(Redis, object())
"""RQ wants a connection to make a record; making one opens none."""


class BadRecordError(Exception):
    """What stands under a job's key is no job of ours."""


@dataclass(frozen=True, slots=True)
class JobView:
    """What a client may know of a job. Times are in UTC; `position` counts from 1 and is None once started.

    `done` and `total` count the pages of a document that is being indexed.
    """

    job_id: str
    kind: str
    status: JobStatus
    position: int | None
    attempt: int
    stage: Stage | None
    done: int | None
    total: int | None
    enqueued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    result: Result | None
    error: JobError | None
    stages: Mapping[str, datetime] = field(default_factory=dict)
    """When a document's stages began, by name."""


def new_record(
    payload: Payload, settings: Settings, traceparent: str | None = None
) -> tuple[dict[str, Any], datetime]:
    """A waiting job's fields as RQ reads them, and when it was enqueued. `traceparent`: what sends it, if traced."""
    kind, enqueued_at = KINDS[type(payload)], now()
    retries = _retries(kind, settings)
    call: tuple[Any, ...] = (kind.function, None, (payload.model_dump(mode="json"),), {})
    moment = utcformat(enqueued_at)
    meta: dict[str, Any] = {"tenant": payload.tenant, "kind": kind.name, "retries": retries}
    if traceparent is not None:
        meta[TRACEPARENT] = traceparent
    return {
        **_same_for_all(kind, settings),
        "created_at": moment,
        "enqueued_at": moment,
        "data": _stored(PlainSerializer.dumps(call)),
        "meta": PlainSerializer.dumps(meta),
    }, enqueued_at


def _stored(data: bytes) -> bytes:
    """Compressed when that gains anything: RQ reads both, as no pickle begins like zlib's data."""
    return data if len(data) < COMPRESS_BYTES_MIN else compress(data, FAST)


def finished_data(data: bytes) -> bytes:
    """What is called, as the record of a finished job has it: always compressed, as RQ itself writes it then."""
    return compress(data, FAST)


def result_fields(value: object) -> dict[str, bytes]:
    """The result of a job that went well, as its entry in RQ's results has it.

    RQ's own form is base64, and cannot be compressed: of a long result it would be more than all else that is kept of
    the job. So a long one stands in a field of ours, and RQ's tools find that the job has returned nothing.
    """
    if value is None:
        return {}
    data = PlainSerializer.dumps(value)
    if len(data) < PACK_BYTES_MIN:
        return {"return_value": b64encode(data)}
    return {PACKED: compress(data, FAST)}


def _value_of(fields: Mapping[str, bytes]) -> Any:
    """What `result_fields` was given. Raises `KeyError`, `Base64Error`, `zlib.error` or `pickle.UnpicklingError`."""
    if PACKED in fields:
        return PlainSerializer.loads(decompressobj().decompress(fields[PACKED], DATA_BYTES_MAX))
    return PlainSerializer.loads(b64decode(fields["return_value"]))


@lru_cache(maxsize=64)
def _same_for_all(kind: Kind, settings: Settings) -> dict[str, Any]:
    """What RQ writes of every job of this kind, without what is empty, which it reads as well when it is not there.

    RQ takes 60 microseconds to say it, and a question has few.
    """
    retries = _retries(kind, settings)
    timeouts = {
        QUERY_QUEUE: settings.job_timeout_seconds,
        INGEST_QUEUE: settings.ingest_timeout_seconds,
        WEBHOOK_QUEUE: WEBHOOK_TIMEOUT_SECONDS,
        PAGE_QUEUE: PAGE_TIMEOUT_SECONDS,
    }
    record = Job.create(
        kind.function,
        connection=NOWHERE,
        serializer=PlainSerializer,
        origin=kind.queue,
        status=RqStatus.QUEUED,
        description=kind.name,
        timeout=timeouts[kind.queue],
        result_ttl=kind.result_seconds(settings),
        failure_ttl=kind.failure_seconds(settings),
        # Also RQ's own clean-up, which stock workers run, gives a lost job back while retries are left.
        retry=Retry(max=retries, interval=[*kind.retry_intervals] or 0, enqueue_at_front=True) if retries else None,
    )
    fields = record.to_dict() | {"status": RqStatus.QUEUED.value}
    return {name: value for name, value in fields.items() if value != ""}


def _retries(kind: Kind, settings: Settings) -> int:
    return len(kind.retry_intervals) or settings.max_attempts - 1


@dataclass(frozen=True, slots=True)
class Record:
    """A job's record as `app.core.queue.scripts.VIEW` gives it, its metadata read. `more` depends on the status."""

    job_id: str
    status: JobStatus
    queue: str
    meta: Mapping[str, Any]
    enqueued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    retries_left: int
    more: Any

    @property
    def tenant(self) -> object:
        """Whose it is; whatever stands there."""
        return self.meta.get("tenant")

    @property
    def retries(self) -> int:
        """How many retries it had from the start."""
        retries = self.meta.get("retries", 0)
        return retries if isinstance(retries, int) else 0


def read_record(job_id: str, answer: Sequence[Any]) -> Record:
    """The record in the script's `answer`. Raises `BadRecordError`."""
    (status, queue, meta, enqueued_at, started_at, ended_at, retries_left), more = answer
    try:
        return Record(
            job_id=job_id,
            status=status_of(status),
            queue=(queue or b"").decode(),
            meta=_plain(PlainSerializer.loads(meta)) if meta else {},
            enqueued_at=time_of(enqueued_at),
            started_at=time_of(started_at),
            ended_at=time_of(ended_at),
            retries_left=int(retries_left or 0),
            more=more,
        )
    except (ValueError, pickle.UnpicklingError) as error:
        raise BadRecordError(job_id) from error


def status_of(value: bytes) -> JobStatus:
    """RQ's status as a client knows it. Raises `ValueError` for any other."""
    return _STATUS[RqStatus(value.decode())]


def view_of(record: Record) -> JobView:
    """What a client may know of the job."""
    status, is_started = record.status, record.status is JobStatus.STARTED
    result, error = _outcome(record)
    return JobView(
        job_id=record.job_id,
        kind=_kind(record).name,
        status=status,
        position=record.more + 1 if status is JobStatus.QUEUED and isinstance(record.more, int) else None,
        attempt=max(0, record.retries - record.retries_left) + (status is not JobStatus.QUEUED),
        stage=_stage(record) if is_started else None,
        done=_count(record.meta.get("pages_done")),
        total=_count(record.meta.get("pages")),
        enqueued_at=record.enqueued_at,
        started_at=record.started_at,
        ended_at=record.ended_at if status.is_terminal else None,
        result=result,
        error=error,
        stages=_stages(record.meta.get("stages")),
    )


def _kind(record: Record) -> Kind:
    return _KIND_BY_NAME.get(str(record.meta.get("kind")), KINDS[AnswerJob])


def _outcome(record: Record) -> tuple[Result | None, JobError | None]:
    if record.status is JobStatus.FINISHED:
        try:
            value = _value_of(_last_result(record))
            model = _kind(record).result
            return cast(Result, model.model_validate(value)) if model else None, None
        except (KeyError, ValidationError, pickle.UnpicklingError, Base64Error, ZlibError):
            return None, JobError.of(ErrorCode.PAYLOAD_INVALID)
    if record.status is JobStatus.FAILED:
        return None, JobError.of(_failure(record))
    return None, None


def _failure(record: Record) -> ErrorCode:
    """The code that the worker recorded; for a job whose worker could not, what RQ's record tells."""
    code = record.meta.get("error")
    if code in set(ErrorCode):
        return ErrorCode(code)
    trace = ""
    with suppress(KeyError, Base64Error):
        trace = unpacked(b64decode(_last_result(record)["exc_string"])).decode(errors="replace")
    if any(mark in trace for mark in _LOST):
        return ErrorCode.WORKER_LOST
    if "JobTimeoutException" in trace:
        return ErrorCode.JOB_TIMEOUT
    return ErrorCode.INTERNAL


def _last_result(record: Record) -> dict[str, bytes]:
    return fields_of(record.more[0][1]) if record.more else {}


def _stage(record: Record) -> Stage:
    """What the last event tells; of a document, what its worker noted."""
    noted = record.meta.get("stage")
    if noted in set(Stage):
        return Stage(noted)
    last = fields_of(record.more[0][1]) if record.more else {}
    return _STAGE_AFTER.get(last.get("t", b"").decode(errors="replace"), Stage.RETRIEVAL)


def fields_of(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A stream entry's fields, from the flat list that a script returns."""
    return {name.decode(errors="replace"): value for name, value in zip(flat[::2], flat[1::2], strict=False)}


def _plain(meta: Any) -> Mapping[str, Any]:
    return meta if isinstance(meta, dict) else {}


def _stages(noted: object) -> dict[str, datetime]:
    """When stages began, which the worker notes in milliseconds since 1970."""
    times = noted.items() if isinstance(noted, dict) else ()
    found = {str(name): moment_of(value) for name, value in times if name in set(Stage)}
    return {name: moment for name, moment in found.items() if moment is not None}


def moment_of(milliseconds: object) -> datetime | None:
    """The time that is so many milliseconds after 1970, in UTC; None for what is none."""
    if not isinstance(milliseconds, int) or not 0 <= milliseconds < MOMENT_MAX:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def time_of(value: bytes | None) -> datetime | None:
    """A time as RQ writes it, in UTC. Raises `ValueError`. RQ's own reader, `strptime`, takes 10 times as long."""
    if not value:
        return None
    moment = datetime.fromisoformat(value.decode())
    if moment.tzinfo is not UTC:
        raise ValueError("not in UTC")
    return moment


def stop_command(job_id: str) -> str:
    """RQ's command that makes a worker stop the job (`rq.command.send_stop_job_command`)."""
    return json.dumps({"command": "stop-job", "job_id": job_id})
