"""What every chat model has in common once its manners are seen to, whichever client speaks to it.

Its thoughts and its template's marks are taken out as it writes, and what this process has learned of it is used:
whether its thoughts begin unmarked, and what was too long for it.
"""

import threading
from collections.abc import Sequence
from time import monotonic

from app.core.errors import ErrorCode, ServiceError
from worker.answer.pipeline import Complete, Completion, OnText
from worker.answer.prompt import Message
from worker.answer.thoughts import NAMED, AnswerOnly, answer_in

TOO_LONG_SECONDS = 600.0
"""How long a refusal for length is remembered: behind a name there may be another model by then."""


class MannerlyModel:
    """`complete` of the model called `name`, with its manners seen to. Safe to share between threads.

    A model whose name tells that it may think unmarked, or whose answer reads as if it did, has its answer held back
    until the thoughts' end or its own; so has, from then on, one that was seen to. One that has answered without is
    trusted. See docs/decisions/thoughts.md.
    """

    def __init__(self, complete: Complete, name: str) -> None:
        self._complete = complete
        self._thinks_unmarked: bool | None = None
        self._is_named = NAMED.search(name) is not None
        self._lengths = _Lengths()

    def complete(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """The answer alone, given to `on_text` as it comes; `is_retold` when what was given turned out not to be it.

        Raises `ServiceError` as the model's client does; CONTEXT_TOO_LONG without asking, when as much was too long.
        """
        size = sum(len(message["content"].encode()) for message in messages)
        self._lengths.check(size)
        reader = AnswerOnly(on_text, holds=self._holds())
        try:
            completion = self._complete(messages, reader.feed)
        except ServiceError as error:
            if error.code is ErrorCode.CONTEXT_TOO_LONG:
                self._lengths.add(size)
            raise
        completion.text, begins_within = answer_in(completion.text)
        self._learn(begins_within)
        reader.finish()
        completion.is_retold = reader.was_thought
        return completion

    def _holds(self) -> bool | None:
        return True if self._thinks_unmarked is None and self._is_named else self._thinks_unmarked

    def _learn(self, begins_within_thoughts: bool) -> None:
        """Once seen it stays: whoever is answered by such a model is not to read its thoughts by chance."""
        self._thinks_unmarked = bool(self._thinks_unmarked) or begins_within_thoughts


class _Lengths:
    """The least that was too long for a model, in bytes: over all languages nearer to its tokens than characters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._too_long: int | None = None
        self._until = 0.0

    def check(self, size: int) -> None:
        """Raises `ServiceError` when `size` is known to be too long."""
        with self._lock:
            if self._too_long is not None and size >= self._too_long and monotonic() < self._until:
                raise ServiceError(ErrorCode.CONTEXT_TOO_LONG)

    def add(self, size: int) -> None:
        """Remember that `size` was too long."""
        with self._lock:
            is_over = monotonic() >= self._until
            self._too_long = size if self._too_long is None or is_over else min(self._too_long, size)
            self._until = monotonic() + TOO_LONG_SECONDS
