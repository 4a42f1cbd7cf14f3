"""The job behind a completion or a response: made, found again, waited for, and followed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request

from app.auth.dependencies import Asker
from app.core.contract import AnswerJob, Caching, TaskJob
from app.core.errors import Limit
from app.core.event_log import Event
from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.lines import LOW
from app.core.queue.pipelined import end
from app.core.queue.producer import Enqueued, Idempotency, JobNotFoundError, JobRunningError
from app.core.queue.records import KINDS, JobView
from app.dependencies import ApiDep, UntilAnswered, request_id_of
from app.jobs.streams import JobEvents
from app.request_headers import caching, idempotency_key
from app.routes import job_actions
from app.routes.links import base_url, whole_links_for
from app.routes.openai.collections import check_collection
from app.routes.openai.errors import OpenAIError
from app.routes.openai.notes import ResponseNotes
from app.routes.openai.questions import Asked

CLIENT_LEFT = 499
"""nginx's status for a request whose client went away before its answer: for the log, nobody else sees it."""

FLEX = "flex"
"""OpenAI's name of what waits behind all else ("Flex processing")."""

_KINDS = (KINDS[AnswerJob].name, KINDS[TaskJob].name)

T = TypeVar("T")
OnLeft = Callable[[], Awaitable[None]]

log = get_logger(__name__)


class RestartedError(Exception):
    """The answer was begun again, and its text is not the one that the client has."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a route needs to put questions on the queue for its principal, and to find what became of them."""

    request: Request
    principal: Asker
    api: ApiDep
    until_answered: UntilAnswered

    @property
    def base_url(self) -> str:
        """This service's URL as the client knows it."""
        return base_url(self.request)

    @property
    def notes(self) -> ResponseNotes:
        """What is kept of responses beside their jobs."""
        return ResponseNotes(self.api.valkey, self.api.settings)

    def hold(self, limit: Limit) -> None:
        """Take one of the key's places until the request is over. Raises `LimitReachedError`.

        To be called before there is a job: who is refused will ask again.
        """
        self.until_answered.enter_context(self.api.places.held(limit, self.principal.key))

    async def submit(
        self, asked: Asked, collection: str, key: str | None, *, service_tier: str | None = None
    ) -> Enqueued:
        """Put the question, or the client's task, on the queue; behind all others in the tier `FLEX`.

        Raises as `check_collection`, `JobQueue.submit` and `app.request_headers.idempotency_key` do.
        """
        await check_collection(self.api.valkey, self.principal.tenant, collection)
        job = job_of(
            asked,
            collection,
            self.principal.tenant,
            request_id_of(self.request),
            caching(self.request.headers.get("cache-control")),
        )
        name = idempotency_key(key)
        return await self.api.queue.submit(
            job,
            idempotency=Idempotency(owner=self.principal.key, key=name) if name is not None else None,
            spender=self.principal.spender,
            weight=self.principal.weight,
            priority=LOW if service_tier == FLEX else "normal",
        )

    async def view(self, job_id: str) -> JobView:
        """The state of a question's job, or a task's. Raises `JobNotFoundError`, for jobs of other kinds too."""
        view = await self.api.queue.view(job_id, tenant=self.principal.tenant)
        if view.kind not in _KINDS:
            raise JobNotFoundError(job_id)
        return await self._linked(view)

    def on_left(
        self, taken: Enqueued, *, store: bool | None, key: str | None, forgets: bool = False
    ) -> OnLeft | None:
        """What is to be done when the client leaves before the answer's end: its job is stopped, to be paid no more.

        None when somebody may come for the answer: a client that asked to `store` it, or that sends the same
        Idempotency-Key again; or when the operator has said so (CANCEL_ON_DISCONNECT). `forgets`: it is removed, too.
        """
        stays = store or key is not None or not self.api.settings.cancel_on_disconnect
        return None if stays else partial(self._stop, taken.job_id, forgets=forgets)

    async def forget(self, view: JobView) -> None:
        """Remove a job that has ended, with question and answer; where that fails it expires like any."""
        if not view.status.is_terminal:
            return
        try:
            await self.api.queue.delete(view.job_id, tenant=self.principal.tenant)
        except (JobNotFoundError, JobRunningError):
            return
        except VALKEY_UNAVAILABLE as error:
            log.warning("valkey_unavailable", during="removal", reason=type(error).__name__)

    async def _stop(self, job_id: str, *, forgets: bool) -> None:
        if self.api.waiters.is_closing:  # it is we who have left
            return
        try:
            await (job_actions.remove if forgets else job_actions.stop)(job_id, self.principal, self.api)
        except (JobNotFoundError, JobRunningError):
            return
        except VALKEY_UNAVAILABLE as error:
            log.warning("valkey_unavailable", during="disconnect", reason=type(error).__name__)
        else:
            log.info("job_stopped_for_disconnect")

    async def wait(self, view: JobView, seconds: float, on_left: OnLeft | None = None) -> JobView:
        """The job once it has ended, or as it is after `seconds`. Call `hold` before.

        Raises as `unless_left`, after `on_left`.
        """
        tenant = self.principal.tenant
        return await self._linked(
            await self.unless_left(self.api.waiters.wait_for_end(view, seconds, tenant=tenant), on_left)
        )

    async def unless_left(self, coming: Coroutine[Any, Any, T], on_left: OnLeft | None = None) -> T:
        """What `coming` gives. Raises `OpenAIError` (`CLIENT_LEFT`), after `on_left`, once the client has gone."""
        waiting, leaving = asyncio.create_task(coming), asyncio.create_task(self._client_leaves())
        try:
            await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            leaving.result()
        finally:
            await end(waiting, leaving)
        if on_left is not None:
            await on_left()
        raise OpenAIError(CLIENT_LEFT, "The client has left.", code="client_left")

    async def _client_leaves(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    async def follow(self, job_id: str) -> AsyncGenerator[list[Event] | JobView | None, None]:
        """The job's events from the first, as `JobEvents.batches` gives them.

        Ends without the job's view when this process ends, the job is removed, or Valkey is unavailable.
        """
        events = JobEvents(self.api.waiters, self.api.queue, job_id=job_id, tenant=self.principal.tenant)
        try:
            async with aclosing(events.batches(0)) as batches:
                async for batch in batches:
                    yield await self._linked(batch) if isinstance(batch, JobView) else batch
        except JobNotFoundError:
            return
        except VALKEY_UNAVAILABLE as error:
            log.warning("valkey_unavailable", during="stream", reason=type(error).__name__)

    async def _linked(self, view: JobView) -> JobView:
        """The view with links that the principal can follow; twice is harmless."""
        if view.result is None:
            return view
        links = await whole_links_for(self.request, self.principal)
        return replace(view, result=links.shown(view.result))


AskingDep = Annotated[Asking, Depends()]


def job_of(
    asked: Asked, collection: str, tenant: str, request_id: str | None, caching: Caching = "use"
) -> AnswerJob | TaskJob:
    """The job that does what is asked."""
    if asked.is_task:
        return TaskJob(tenant=tenant, task=asked.text, request_id=request_id)
    return AnswerJob(
        tenant=tenant,
        collection=collection,
        query=asked.text,
        turns=asked.turns,
        instructions=asked.instructions,
        session_id=asked.session_id,
        request_id=request_id,
        cache=caching if asked.is_stored else "off",
    )


class Transcript:
    """The answer as a client has read it, over all attempts: a later attempt goes on where the text is the same."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self._position = len(text)
        """How much of `text` the attempt that runs has written."""

    def restart(self) -> None:
        """Another attempt begins."""
        self._position = 0

    def of_this_attempt(self) -> "Transcript":
        """What this attempt alone has written."""
        return Transcript(self.text[: self._position])

    def add(self, piece: str) -> str:
        """What of `piece` the client does not have yet. Raises `RestartedError`."""
        known = self.text[self._position : self._position + len(piece)]
        if not piece.startswith(known):
            raise RestartedError
        self._position += len(piece)
        self.text += piece[len(known) :]
        return piece[len(known) :]

    def finish(self, answer: str) -> str:
        """What of the whole answer the client does not have yet. Raises `RestartedError`.

        A text that was written whole is the answer, even if a character of it was changed at the end.
        """
        rest = answer.removeprefix(self.text)
        if answer.startswith(self.text):
            self.text = answer
            return rest
        if self._position < len(self.text):
            raise RestartedError
        return ""


def delta_text(event: Event) -> str:
    """The text that an `answer.delta` adds; it was read from Valkey, and may be anything."""
    text = orjson.loads(event.data).get("text")
    return text if isinstance(text, str) else ""
