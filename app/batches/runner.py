"""Brings batches on: a window of each one's lines is on the queue, and what has ended of it is written down.

Any API process may do so, one at a time for a batch. What it has done stands in the batch's record, which it changes
only as long as nobody else has: so a process that dies, or one that was thought dead, loses no line and doubles none.
A line's job has an Idempotency-Key of its own, and is not asked twice. See docs/decisions/batches.md.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, time
from typing import Any
from uuid import uuid4

from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from redis.asyncio import Redis
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from structlog.contextvars import bound_contextvars, unbind_contextvars

from app.batches.lines import Checked, RawLine, WrongLineError, check, lines_of, read_line
from app.batches.parts import KINDS, Kind, Parts, file_id_of, join, request_name
from app.batches.requests import Answer, Asker, Begun, answer_of, ask_of
from app.core.contract import QUERY_QUEUE, JobStatus
from app.core.documents.files import StorageUnavailableError, StoredFileNotFoundError, open_store
from app.core.events import log_key
from app.core.logging import get_logger
from app.core.queue.batch_keys import lock_key
from app.core.queue.batches import (
    BatchNotFoundError,
    BatchRecord,
    BatchStore,
    Ending,
    FileRecord,
    KeptBatch,
    LineError,
)
from app.core.queue.erasing import TenantBeingErasedError
from app.core.queue.lines import LOW
from app.core.queue.outbox import RELEASE
from app.core.queue.producer import (
    Idempotency,
    IdempotencyConflictError,
    JobNotFoundError,
    JobQueue,
    QueueFullError,
    QueueShareError,
    results_key,
)
from app.core.queue.records import JobView
from app.core.queue.scripts import RUN
from app.core.queue.usage import Spender, TokenBudget, TokenBudgetError
from app.core.settings import Settings

IN_FLIGHT_MAX = 500
"""Lines of one tenant's batches on the queue at once: what eight busy workers' threads have running."""
SHARE_OF_QUEUE = 4
"""They are a quarter of the tenant's places on the queue at most: the rest is for who waits for an answer."""
ROUND_SECONDS = 0.2
"""Between two looks while there is something to do; else the upkeep's second."""
LOCK_SECONDS = 15
"""A process that dies while it holds a batch is waited for so long. One that lives longer over it does no harm."""
GATHER_SECONDS = 2.0
GATHER_SECONDS_MAX = 60.0
GATHER_OF_AGE = 50
"""What has ended is written down when it is a quarter of the window; else after two seconds, or a fiftieth of the
batch's age, a minute at most: so that a slow batch has a thousand parts and not forty thousand."""
VIEWS_AT_ONCE = 8
"""Answers held in memory at once: each has 4 MiB at most, and some 5 KB as a rule."""
READ_BYTES_MAX = 4 * 2**20
"""Of lines read at once, but for the first of them."""
STOP_SECONDS = 30
"""How long a batch that ends waits for those of its jobs that run: each stops a moment after it is told to."""
FORGET_SECONDS = 300
"""How long a line's job is kept once its answer is written down: for the readers of the outbox. 50,000 answers are
some 300 MB of Valkey, and nobody asks for them there."""
BATCHES_AT_ONCE = 8
SWEEP_SECONDS = 60.0
SWEEP_COUNT = 100
INPUT_GONE = LineError(code="input_file_not_found", message="The input file was deleted.")
LOST = ("answer_lost", "The job that answered this line was removed, or its answer has expired.")
NO_ANSWER: Mapping[Ending, tuple[str, str]] = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed: the batch was cancelled."),
    "failed": ("batch_failed", "This request was not executed: the batch's input file was deleted."),
    "completed": LOST,
}

log = get_logger(__name__)


class _OvertakenError(Exception):
    """Another process has brought the batch on meanwhile, or it is gone."""


@dataclass(slots=True)
class _Run:
    """A batch while it is brought on: whose, as it is kept now, and how many of its lines may be on the queue."""

    tenant: str
    kept: KeptBatch
    window: int

    @property
    def record(self) -> BatchRecord:
        """As it is kept now."""
        return self.kept.record


class Batches:
    """Brings every tenant's batches on, for one API process."""

    def __init__(self, valkey: Redis, queue: JobQueue, settings: Settings) -> None:
        self._valkey = valkey
        self._queue = queue
        self._settings = settings
        self._records = BatchStore(valkey)
        self._files = open_store(settings)
        self._holder = uuid4().hex
        self._release = valkey.register_script(RELEASE)
        self._in_flight_max = max(1, min(IN_FLIGHT_MAX, settings.tenant_queue_depth // SHARE_OF_QUEUE))
        self._gathered_at: dict[str, float] = {}
        self._swept_at = 0.0

    async def step(self) -> int:
        """Bring all batches on until none has anything to do now; how many rounds that took.

        Raises one of `VALKEY_UNAVAILABLE`.
        """
        if monotonic() - self._swept_at > SWEEP_SECONDS:
            await self._sweep()
            self._swept_at = monotonic()
        rounds = 0
        while await self._round():
            rounds += 1
            await asyncio.sleep(ROUND_SECONDS)
        return rounds

    async def _round(self) -> bool:
        """Each open batch has its turn, whatever becomes of another's; whether any has come on."""
        found = await self._records.open()
        many, places = Counter(tenant for tenant, _ in found), asyncio.Semaphore(BATCHES_AT_ONCE)

        async def turn(tenant: str, batch_id: str) -> bool:
            async with places:
                return await self._turn(tenant, batch_id, max(1, self._in_flight_max // many[tenant]))

        turns = await asyncio.gather(*(turn(*each) for each in found), return_exceptions=True)
        for outcome in turns:
            if isinstance(outcome, BaseException):
                raise outcome
        return any(turns)

    async def _turn(self, tenant: str, batch_id: str, window: int) -> bool:
        lock = lock_key(tenant, batch_id)
        command = ("SET", lock, self._holder, "NX", "EX", LOCK_SECONDS)
        answers: Any = await self._valkey.eval(RUN, 0, str(len(command)), *map(str, command))
        if not answers[0]:
            return False
        try:
            with bound_contextvars(tenant=tenant):
                return await self._bring_on(_Run(tenant, await self._records.get(tenant, batch_id), window))
        except BatchNotFoundError:
            await self._records.close(tenant, batch_id)
            return False
        except (_OvertakenError, TenantBeingErasedError, StorageUnavailableError):  # what could not be done now
            return False
        finally:
            await self._release(keys=[lock], args=[self._holder])

    async def _bring_on(self, run: _Run) -> bool:
        match run.record.status:
            case "validating":
                await self._validate(run)
            case "in_progress":
                return await self._go_on(run)
            case "finalizing":
                await self._finish(run)
            case _:
                await self._clear(run)
        return True

    # -------------------------------------------------------------------------------- its beginning

    async def _validate(self, run: _Run) -> None:
        now = int(time())
        if run.kept.cancelling_at is not None:
            await self._save(run, status="finalizing", ending="cancelled", finalizing_at=now)
            return
        checked = await run_in_threadpool(self._checked, run)
        if checked.errors:
            await self._save(run, status="failed", failed_at=now, errors=checked.errors)
            log.info("batch_invalid", batch_id=run.record.id, errors=len(checked.errors))
        else:
            await self._save(run, status="in_progress", in_progress_at=int(time()), total=checked.total)
            log.info("batch_begun", batch_id=run.record.id, lines=checked.total)

    def _checked(self, run: _Run) -> Checked:
        try:
            with self._files.open_batch_file(run.tenant, run.record.input_file_id) as file:
                return check(file, run.record.endpoint)
        except StoredFileNotFoundError:
            return Checked(0, (INPUT_GONE,))

    # ------------------------------------------------------------------------------- while it goes on

    async def _go_on(self, run: _Run) -> bool:
        if run.record.ending is None and (ending := _ending_of(run)) is not None:
            await self._save(run, ending=ending, ending_at=int(time()))
        lines = {number: _begun(raw) for number, raw in (await self._lines(run)).items()}
        ended = await self._ended(lines)
        if run.record.ending is not None:
            return await self._come_to_an_end(run, lines, ended)
        has_moved = False
        if self._is_time(run, len(ended), len(lines)):
            await self._gather(run, {number: lines.pop(number) for number in ended})
            has_moved = True
        if run.record.line < run.record.total:
            return await self._fill(run, run.window - len(lines)) or has_moved
        if not lines:
            await self._save(run, status="finalizing", ending="completed", finalizing_at=int(time()))
        return has_moved or not lines

    async def _lines(self, run: _Run) -> dict[int, bytes]:
        return await self._records.lines(run.tenant, run.record.id)

    async def _ended(self, lines: Mapping[int, Begun]) -> list[int]:
        """The numbers of those lines that have ended."""
        asked = [(number, line.job_id) for number, line in lines.items() if line.job_id is not None]
        statuses = await self._queue.statuses([job_id for _, job_id in asked]) if asked else []
        waiting = {
            number
            for (number, _), status in zip(asked, statuses, strict=True)
            if status is not None and not status.is_terminal
        }
        return [number for number in lines if number not in waiting]

    def _is_time(self, run: _Run, ended: int, begun: int) -> bool:
        """Whether what has ended is to be written down."""
        if not ended:
            return False
        age = time() - (run.record.in_progress_at or time())
        patience = min(
            max(GATHER_SECONDS, age / GATHER_OF_AGE), GATHER_SECONDS_MAX, self._settings.result_ttl_seconds / 10
        )
        since = monotonic() - self._gathered_at.get(run.record.id, 0.0)
        return ended == begun or ended >= run.window / 4 or since > patience

    async def _gather(self, run: _Run, lines: Mapping[int, Begun], *, ending: Ending = "completed") -> None:
        """Write down what became of these lines, which have ended or will not."""
        parts = await run_in_threadpool(Parts, self._files, run.tenant, run.record.id)
        numbers = list(lines)
        try:
            for start in range(0, len(numbers), VIEWS_AT_ONCE):
                some = {number: lines[number] for number in numbers[start : start + VIEWS_AT_ONCE]}
                ids = [line.job_id for line in some.values() if line.job_id is not None]
                views = dict(zip(ids, await self._queue.views(ids, tenant=run.tenant), strict=True))
                await run_in_threadpool(_write, run.record, parts, some, views, ending)
            await self._count(run, parts, ended=numbers)
        finally:
            await run_in_threadpool(parts.__exit__, None, None, None)
        self._gathered_at[run.record.id] = monotonic()
        await self._forget(run, lines)

    async def _count(self, run: _Run, parts: Parts, *, ended: Sequence[int] = (), **more: Any) -> None:
        """Keep what was written, and count it in the same step in which its lines end."""
        names = await run_in_threadpool(parts.keep)
        completed, failed = run.record.completed + parts.completed, run.record.failed + parts.failed
        try:
            await self._save(run, ended=ended, parts=names, completed=completed, failed=failed, **more)
        except _OvertakenError:
            for name in names:
                await run_in_threadpool(self._files.delete_batch_file, run.tenant, name)
            raise

    async def _forget(self, run: _Run, lines: Mapping[int, Begun]) -> None:
        """Let the jobs of lines that were written down go soon."""
        until = time() + FORGET_SECONDS
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for number, line in lines.items():
                if line.job_id is None:
                    continue
                place = _idempotency(run, number).place
                for key in (Job.key_for(line.job_id), results_key(line.job_id), log_key(line.job_id), place):
                    pipeline.expire(key, FORGET_SECONDS, lt=True)
                for registry in (FinishedJobRegistry, FailedJobRegistry):
                    pipeline.zadd(registry.key_template.format(QUERY_QUEUE), {line.job_id: until}, xx=True)
            await pipeline.execute()

    async def _fill(self, run: _Run, room: int) -> bool:
        """Put the next lines on the queue, `room` at most; whether there was one."""
        if room < 1 or await self._queue.depth() >= max(1, self._settings.max_queue_depth // 2):
            return False
        try:
            found = await run_in_threadpool(self._read, run, room)
        except StoredFileNotFoundError:
            await self._save(run, ending="failed", ending_at=int(time()), errors=(INPUT_GONE,))
            return True
        begun: dict[int, str] = {}
        line, offset = run.record.line, run.record.offset
        for raw in found:
            one = await self._begin(run, line + 1, raw)
            if one is None:
                break
            line, offset = line + 1, raw.end
            begun[line] = one.model_dump_json(exclude_defaults=True)
        unbind_contextvars("job_id")  # the next line in the log is about no one of them
        if not found:  # the file is shorter than it was
            line = run.record.total
        if line != run.record.line:
            await self._save(run, line=line, offset=offset, begun=begun)
        return line != run.record.line or bool(begun)

    def _read(self, run: _Run, room: int) -> list[RawLine]:
        found: list[RawLine] = []
        size = 0
        with self._files.open_batch_file(run.tenant, run.record.input_file_id) as file:
            for raw in lines_of(file, run.record.offset):
                size += len(raw.data)
                if found and size > READ_BYTES_MAX:
                    break
                found.append(raw)
                if len(found) == room:
                    break
        return found

    async def _begin(self, run: _Run, number: int, raw: RawLine) -> Begun | None:
        """The line, asked or refused; None while the queue or the asker's budget takes no more.

        Raises `TenantBeingErasedError`.
        """
        record, request_id = run.record, request_name(run.record.id, number)
        try:
            line = read_line(raw.data, record.endpoint)
        except WrongLineError as error:  # it was right when the batch began
            return Begun(custom_id="", refused=Answer(status=400, body={"error": {"message": error.message}}))
        asked = await ask_of(record.endpoint, line.body, Asker(self._valkey, self._queue, run.tenant, request_id))
        if isinstance(asked, Answer):
            return Begun(custom_id=line.custom_id, refused=asked)
        budget = TokenBudget.parse(record.tokens) if record.tokens is not None else None
        try:
            taken = await self._queue.submit(
                asked.payload,
                idempotency=_idempotency(run, number),
                spender=Spender(record.asker, budget) if budget is not None else None,
                weight=record.weight,
                priority=LOW,
            )
        except (QueueFullError, QueueShareError, TokenBudgetError):
            return None
        except IdempotencyConflictError:  # the embedding model was changed while we were away
            body = {"error": {"message": "What this line asks for has another meaning by now.", "code": "conflict"}}
            return Begun(custom_id=line.custom_id, refused=Answer(status=409, body=body))
        return Begun(custom_id=line.custom_id, job_id=taken.job_id, said=asked.said, encoding=asked.encoding)

    # ----------------------------------------------------------------------------------- its end

    async def _come_to_an_end(self, run: _Run, lines: Mapping[int, Begun], ended: Sequence[int]) -> bool:
        """Stop what runs, write down what there is, and say of the rest that it was not done."""
        record = run.record
        running = [line.job_id for number, line in lines.items() if number not in set(ended) and line.job_id]
        if running and time() < (record.ending_at or 0) + STOP_SECONDS:
            for job_id in running:
                with suppress(JobNotFoundError):
                    await self._queue.cancel(job_id, tenant=run.tenant)
            unbind_contextvars("job_id")
            return True
        ending = record.ending or "failed"
        if lines:
            await self._gather(run, lines, ending=ending)
        await self._leave_the_rest(run, ending)
        return True

    async def _leave_the_rest(self, run: _Run, ending: Ending) -> None:
        parts = await run_in_threadpool(Parts, self._files, run.tenant, run.record.id)
        try:
            await run_in_threadpool(self._write_the_rest, run, parts, ending)
            await self._count(
                run, parts, line=run.record.total, status="finalizing", finalizing_at=int(time()),
            )  # fmt: skip
        finally:
            await run_in_threadpool(parts.__exit__, None, None, None)

    def _write_the_rest(self, run: _Run, parts: Parts, ending: Ending) -> None:
        record = run.record
        if record.line >= record.total:
            return
        with suppress(StoredFileNotFoundError), self._files.open_batch_file(run.tenant, record.input_file_id) as file:
            for number, raw in enumerate(lines_of(file, record.offset), start=record.line + 1):
                with suppress(WrongLineError):
                    custom_id = read_line(raw.data, record.endpoint).custom_id
                    parts.unanswered(request_name(record.id, number), custom_id, *NO_ANSWER[ending])

    async def _finish(self, run: _Run) -> None:
        """Join the parts to files, and say so in the record."""
        record, ending = run.record, run.record.ending or "completed"
        names = await self._records.parts(run.tenant, record.id)
        ids = {kind: await self._joined(run, kind, names) for kind in KINDS}
        ended_at: dict[str, Any] = {f"{ending}_at": int(time())}
        await self._save(run, status=ending, output_file_id=ids["output"], error_file_id=ids["errors"], **ended_at)
        log.info(
            "batch_ended", batch_id=record.id, status=ending, completed=record.completed, failed=record.failed,
        )  # fmt: skip

    async def _joined(self, run: _Run, kind: Kind, names: Sequence[str]) -> str | None:
        """The id of the batch's file of this kind; None when nothing is in it."""
        own = [name for name in names if name.startswith(f"{run.record.id}.") and name.endswith(f".{kind}")]
        if not own:
            return None
        file_id, now = file_id_of(run.record.id, kind), int(time())
        size = await run_in_threadpool(join, self._files, run.tenant, own, file_id)
        file = FileRecord(
            id=file_id,
            filename=f"{run.record.id}_{'output' if kind == 'output' else 'error'}.jsonl",
            bytes=size,
            created_at=now,
            expires_at=now + run.record.keep_seconds,
            purpose="batch_output",
        )
        try:
            await self._records.put_file(run.tenant, file, batch_id=run.record.id)
        except TenantBeingErasedError:
            await run_in_threadpool(self._files.delete_batch_file, run.tenant, file_id)
            raise
        return file_id

    async def _clear(self, run: _Run) -> None:
        """A batch that is over needs its parts no more."""
        await run_in_threadpool(self._files.delete_batch_parts, run.tenant, run.record.id)
        await self._records.close(run.tenant, run.record.id)
        self._gathered_at.pop(run.record.id, None)

    async def _save(
        self,
        run: _Run,
        *,
        ended: Sequence[int] = (),
        parts: Sequence[str] = (),
        begun: Mapping[int, str] | None = None,
        **changes: Any,
    ) -> None:
        """Change the record. Raises `_OvertakenError`."""
        changed = run.record.model_copy(update=changes)
        kept = await self._records.save(run.tenant, run.kept, changed, ended=ended, parts=parts, begun=begun)
        if kept is None:
            raise _OvertakenError
        run.kept = kept

    async def _sweep(self) -> None:
        """Remove files whose time is over."""
        for tenant, file_id in await self._records.expired(SWEEP_COUNT):
            with suppress(ValueError, StorageUnavailableError):  # a name that is none of ours; a store that is away
                await run_in_threadpool(self._files.delete_batch_file, tenant, file_id)
            await self._records.delete_file(tenant, file_id)


def _ending_of(run: _Run) -> Ending | None:
    """What a batch is to end as now, before all of it is answered."""
    if run.kept.cancelling_at is not None:
        return "cancelled"
    return "expired" if time() >= run.record.expires_at else None


def _begun(raw: bytes) -> Begun:
    """A line as it is kept; one without a job for what is none of ours."""
    try:
        return Begun.model_validate_json(raw)
    except ValidationError:
        return Begun(custom_id="")


def _idempotency(run: _Run, number: int) -> Idempotency:
    """The line's job is the same however often it is asked for. No principal's key has a space."""
    return Idempotency(owner=f"{run.tenant} batches", key=f"{run.record.id}/{number}")


def _write(
    record: BatchRecord, parts: Parts, lines: Mapping[int, Begun], views: Mapping[str, JobView | None], ending: Ending
) -> None:
    for number, line in lines.items():
        request_id, view = request_name(record.id, number), views.get(line.job_id or "")
        if line.refused is not None:
            parts.answered(request_id, line.custom_id, None, line.refused)
        elif view is None:
            parts.unanswered(request_id, line.custom_id, *LOST)
        elif not view.status.is_terminal or (view.status is JobStatus.STOPPED and ending != "completed"):
            parts.unanswered(request_id, line.custom_id, *NO_ANSWER[ending])
        else:
            answer = answer_of(record.endpoint, view, line, record.base_url)
            parts.answered(request_id, line.custom_id, line.job_id, answer)
