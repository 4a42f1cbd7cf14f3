"""An embedding model beside the words: it chooses among what fits, finds other words for it, and is not needed."""

from collections.abc import Sequence

import pytest

from app.core.errors import ErrorCode, ServiceError
from worker.answer.extractive import extract
from worker.answer.nearness import EMBEDDED_MAX, EmbedFew
from worker.vectors import Hit

PAGE = (
    "The guarantee is three years, and ten years on both boilers. The boiler holds one litre. The lamp is white. "
    "The tank is behind the machine. The pump is set to nine bar. Milk is kept in the refrigerator. "
    "Beans are ground before they are brewed. The jug is made of steel."
)
MEANINGS = ("guarantee warranty", "goat hen", "pump", "milk", "bean", "jug", "tank", "lamp")


def found(text: str) -> list[Hit]:
    return [Hit("d", "f.pdf", page=1, chunk_index=0, text=text, score=1.0)]


class Meanings:
    """Embeds a text by which of `MEANINGS` it speaks of: words of one are the same to it."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(texts)
        return [self._one(text.casefold()) for text in texts]

    def _one(self, text: str) -> list[float]:
        known = [float(any(word in text for word in meaning.split())) for meaning in MEANINGS]
        return [*known, *(0.3 * (place == len(text) % 97) for place in range(97))]  # and something of its own


def test_another_word_for_it_is_found_by_meaning_and_not_without() -> None:
    question = "What is the warranty period?"
    assert extract(question, found(PAGE)) == ("", ())
    text, [citation] = extract(question, found(PAGE), Meanings())
    assert text == "The guarantee is three years, and ten years on both boilers. [1]"
    assert citation.quote == "The guarantee is three years, and ten years on both boilers."


@pytest.mark.parametrize(
    "question",
    [
        "What is the colour of the sky?",  # near to nothing
        "What is the warranty of the Corvus?",  # a name that stands nowhere
        "What is the warranty in 1987?",  # a year that stands nowhere
        "When does the goat sleep?",
    ],
)
def test_what_stands_out_from_nothing_or_lacks_what_must_stand_there_is_no_answer(question: str) -> None:
    assert extract(question, found(PAGE), Meanings()) == ("", ())


def test_among_what_fits_the_nearer_is_chosen() -> None:
    page = "A heavy machine is full of water. A heavy machine is moved by two."
    question = "Is the heavy machine dangerous?"

    def likes_the_second(texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "two" in text or text == question else [0.0, 1.0] for text in texts]

    assert extract(question, found(page))[0].startswith("A heavy machine is full of water. [1]")
    assert extract(question, found(page), likes_the_second)[0] == "A heavy machine is moved by two. [1]"


def _fails(texts: list[str]) -> list[list[float]]:
    raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)


def _too_few(texts: list[str]) -> list[list[float]]:
    return [[1.0]]


def _no_numbers(texts: list[str]) -> Sequence[Sequence[float]]:
    return [[] for _ in texts]


@pytest.mark.parametrize("embed", [_fails, _too_few, _no_numbers])
@pytest.mark.parametrize(
    "question", ["What is the warranty period?", "How is the machine tank?", "Where is the jug?"]
)
def test_a_model_that_fails_leaves_it_to_the_words(question: str, embed: EmbedFew) -> None:
    assert extract(question, found(PAGE), embed) == extract(question, found(PAGE))


def test_the_model_is_asked_once_for_no_more_than_it_takes_and_not_where_the_words_are_sure() -> None:
    model = Meanings()
    long = " ".join(f"Boat number {n} lies in the harbour all winter." for n in range(200))
    extract("What is the warranty period?", found(long), model)
    assert [len(texts) for texts in model.asked] == [EMBEDDED_MAX + 2]
    model.asked.clear()
    extract("How long is the guarantee?", found(PAGE), model)
    assert model.asked == []
