"""From a question to an answer with citations. Pure: no queue, no settings, no clock but for timings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from types import MappingProxyType
from typing import Literal

from app.core.contract import Citation, EarlierTurn, Usage
from app.core.errors import ErrorCode, ServiceError
from worker.answer.citations import CitedAnswer, CitedStream
from worker.answer.endings import finish_reason
from worker.answer.extractive import extract
from worker.answer.nearness import EmbedFew
from worker.answer.prompt import Message, build_messages
from worker.vectors import Hit

WORDS_HALVED_MAX = 3
"""How often the last source's words are halved: an eighth of a chunk still is a sentence."""
NOTHING_FOUND = "I found nothing about this in the documents."


@dataclass(slots=True)
class Completion:
    """What a model has written so far, and what its provider counted.

    `is_retold`: what was told of it piece by piece turned out not to be the answer.
    """

    text: str = ""
    model: str = ""
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    is_retold: bool = False


OnText = Callable[[str], object]
Search = Callable[[str], Sequence[Hit]]
Complete = Callable[[Sequence[Message], OnText], Completion]
"""Gives the whole answer, and each piece of it to the second argument as it comes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how it came about; `grounded` as `worker.answer.citations` has it. Times are in milliseconds.

    `finish_reason` is "length" when the model came to its limit before the answer's end. `kept` and `dropped` count
    the model's citations, as `CitedAnswer` does.
    """

    text: str
    mode: Literal["model", "extractive"]
    grounded: bool
    citations: tuple[Citation, ...]
    model: str | None
    usage: Usage
    retrieval_ms: float
    generation_ms: float
    finish_reason: Literal["stop", "length"] = "stop"
    kept: int = 0
    dropped: int = 0


def answer(
    question: str,
    *,
    search: Search,
    complete: Complete | None,
    embed: EmbedFew | None = None,
    on_retrieved: Callable[[Sequence[Hit]], object] = lambda _: None,
    on_delta: OnText = lambda _: None,
    on_again: Callable[[], object] = lambda: None,
    standalone: str | None = None,
    turns: Sequence[EarlierTurn] = (),
    instructions: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Answer `question` from what `search` finds: by the model, or with `complete=None` in the sources' own words,
    which `embed` helps to choose.

    `turns` is what was asked and answered before it, which the model is told; `standalone` is the question when it
    leans on them, put so that it can be searched for by itself. `instructions` are told to the model as
    `build_messages` has it.

    `on_delta` is given the answer as it comes, its citations checked. `on_again` is called before the whole of it is
    given anew, since what was given is not the answer. The model is not called when nothing is found; what is too
    long for it is cut as `_shorter` has it. Raises what `search` and `complete` raise, and `ServiceError`
    (MODEL_NO_ANSWER) when the model says nothing.
    """
    started = perf_counter()
    hits = search(standalone or question)
    on_retrieved(hits)
    retrieved = perf_counter()
    mode: Literal["model", "extractive"] = "extractive" if complete is None else "model"
    model, usage, model_said = None, Usage(), False
    text, grounded = "", False
    citations: tuple[Citation, ...] = ()
    ending: Literal["stop", "length"] = "stop"
    kept = dropped = 0
    if complete is None:
        text, citations = extract(standalone or question, hits, embed)
        grounded = bool(citations)
    elif hits:
        asked = _Asked(question, standalone or question, turns, instructions)
        completion, checked = _completed(asked, hits, complete, on_delta, on_again)
        text, citations, grounded = checked.text, checked.citations, checked.grounded
        kept, dropped = checked.kept, checked.dropped
        if not text:  # that nothing was found, only a search may say
            raise ServiceError(ErrorCode.MODEL_NO_ANSWER)
        model, model_said, ending = completion.model, True, finish_reason(completion.finish_reason)
        usage = Usage(input_tokens=completion.input_tokens, output_tokens=completion.output_tokens)
    text = text or NOTHING_FOUND
    if not model_said:
        on_delta(text)
    return Answer(
        text=text,
        mode=mode,
        grounded=grounded,
        citations=citations,
        model=model,
        usage=usage,
        retrieval_ms=(retrieved - started) * 1000,
        generation_ms=(perf_counter() - retrieved) * 1000,
        finish_reason=ending,
        kept=kept,
        dropped=dropped,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, how it reads without what was said before, that, and how it should be answered."""

    question: str
    standalone: str
    turns: Sequence[EarlierTurn]
    instructions: Mapping[str, str]

    def messages(self, hits: Sequence[Hit]) -> list[Message]:
        return build_messages(self.question, hits, self.turns, self.instructions)

    def alone(self) -> "_Asked":
        return _Asked(self.standalone, self.standalone, (), self.instructions)


def _completed(
    asked: _Asked, hits: Sequence[Hit], complete: Complete, on_delta: OnText, on_again: Callable[[], object]
) -> tuple[Completion, CitedAnswer]:
    """What the model says of the best of `hits`, as many as its context takes; and that, its citations checked."""
    refusal = ServiceError(ErrorCode.CONTEXT_TOO_LONG)
    for told, given in _shorter(asked, hits):
        shown = _Shown(given, asked.question, on_delta)
        try:
            completion = complete(told.messages(given), shown.feed)
        except ServiceError as error:
            if error.code is not ErrorCode.CONTEXT_TOO_LONG or shown.has_begun:
                raise
            refusal = error
            continue
        if completion.is_retold:
            on_again()
            shown = _Shown(given, asked.question, on_delta)
            shown.feed(completion.text)
        return completion, shown.finish()
    raise refusal


def _shorter(asked: _Asked, hits: Sequence[Hit]) -> Iterator[tuple[_Asked, Sequence[Hit]]]:
    """All; without the turns; without ever more of `hits`, from the lowest ranked; the best with ever fewer words."""
    given = list(hits)
    yield asked, given
    if asked.turns:
        asked = asked.alone()
        yield asked, given
    while len(given) > 1:
        given = given[: len(given) * 3 // 4]
        yield asked, given
    words = given[0].context or given[0].text
    for halved in range(1, WORDS_HALVED_MAX + 1):
        yield asked, [replace(given[0], text=words[: len(words) >> halved], context="")]


class _Shown:
    """The model's text on its way to whoever watches, its citations checked."""

    def __init__(self, hits: Sequence[Hit], question: str, on_delta: OnText) -> None:
        self._stream = CitedStream(hits, question)
        self._on_delta = on_delta
        self.has_begun = False

    def feed(self, piece: str) -> None:
        self.has_begun = True
        self._show(self._stream.feed(piece))

    def finish(self) -> CitedAnswer:
        self._show(self._stream.feed("", final=True))
        return self._stream.answer()

    def _show(self, text: str) -> None:
        if text:
            self._on_delta(text)
