"""From a question to an answer with citations. Pure: no queue, no settings, no clock but for timings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from langchain_core.messages import BaseMessage

from app.core.contract import Citation, Stage, Usage
from worker.citations import cite
from worker.extractive import extract
from worker.index import Hit
from worker.prompt import build_messages

NOTHING_FOUND = "I found nothing about this in the documents."


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, and what its provider counted."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int


Search = Callable[[str], Sequence[Hit]]
Complete = Callable[[Sequence[BaseMessage]], Completion]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how it came about. Times are in milliseconds."""

    text: str
    mode: Literal["model", "extractive"]
    citations: tuple[Citation, ...]
    model: str | None
    usage: Usage
    retrieval_ms: float
    generation_ms: float

    @property
    def grounded(self) -> bool:
        """Whether anything that was found backs the answer."""
        return bool(self.citations)


def answer(
    question: str,
    *,
    search: Search,
    complete: Complete | None,
    on_stage: Callable[[Stage], object] = lambda _: None,
) -> Answer:
    """Answer `question` from what `search` finds: by the model, or with `complete=None` in the sources' own words.

    The model is not called when nothing is found. Raises whatever `search` and `complete` raise.
    """
    started = perf_counter()
    hits = search(question)
    retrieved = perf_counter()
    mode: Literal["model", "extractive"] = "extractive" if complete is None else "model"
    model, usage = None, Usage()
    if complete is None or not hits:
        text, citations = extract(question, hits) if complete is None else ("", ())
    else:
        on_stage(Stage.GENERATION)
        completion = complete(build_messages(question, hits))
        text, citations = cite(completion.text, hits)
        model = completion.model
        usage = Usage(input_tokens=completion.input_tokens, output_tokens=completion.output_tokens)
    return Answer(
        text=text or NOTHING_FOUND,
        mode=mode,
        citations=citations,
        model=model,
        usage=usage,
        retrieval_ms=(retrieved - started) * 1000,
        generation_ms=(perf_counter() - retrieved) * 1000,
    )
