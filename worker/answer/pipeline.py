"""From a question to an answer with citations. Pure: no queue, no settings, no clock but for timings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from app.core.contract import Citation, Usage
from worker.answer.citations import CitedStream
from worker.answer.extractive import extract
from worker.answer.nearness import EmbedFew
from worker.answer.prompt import Message, build_messages
from worker.vectors import Hit

NOTHING_FOUND = "I found nothing about this in the documents."


@dataclass(slots=True)
class Completion:
    """What a model has written so far, and what its provider counted."""

    text: str = ""
    model: str = ""
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


OnText = Callable[[str], object]
Search = Callable[[str], Sequence[Hit]]
Complete = Callable[[Sequence[Message], OnText], Completion]
"""Gives the whole answer, and each piece of it to the second argument as it comes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how it came about; `grounded` as `worker.answer.citations` has it. Times are in milliseconds."""

    text: str
    mode: Literal["model", "extractive"]
    grounded: bool
    citations: tuple[Citation, ...]
    model: str | None
    usage: Usage
    retrieval_ms: float
    generation_ms: float


def answer(
    question: str,
    *,
    search: Search,
    complete: Complete | None,
    embed: EmbedFew | None = None,
    on_retrieved: Callable[[Sequence[Hit]], object] = lambda _: None,
    on_delta: OnText = lambda _: None,
) -> Answer:
    """Answer `question` from what `search` finds: by the model, or with `complete=None` in the sources' own words,
    which `embed` helps to choose.

    `on_delta` is given the answer as it comes, its citations checked. The model is not called when nothing is found.
    Raises whatever `search` and `complete` raise.
    """
    started = perf_counter()
    hits = search(question)
    on_retrieved(hits)
    retrieved = perf_counter()
    mode: Literal["model", "extractive"] = "extractive" if complete is None else "model"
    model, usage, model_said = None, Usage(), False
    text, grounded = "", False
    citations: tuple[Citation, ...] = ()
    if complete is None:
        text, citations = extract(question, hits, embed)
        grounded = bool(citations)
    elif hits:
        shown = CitedStream(hits, question)

        def show(piece: str, *, final: bool = False) -> None:
            if text := shown.feed(piece, final=final):
                on_delta(text)

        completion = complete(build_messages(question, hits), show)
        show("", final=True)
        checked = shown.answer()
        text, citations, grounded = checked.text, checked.citations, checked.grounded
        model, model_said = completion.model, True
        usage = Usage(input_tokens=completion.input_tokens, output_tokens=completion.output_tokens)
    if not text:
        text, model_said = NOTHING_FOUND, False
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
    )
