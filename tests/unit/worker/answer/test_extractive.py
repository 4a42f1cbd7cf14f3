"""Answers in the documents' own sentences."""

# ruff: noqa: E501
import pytest

from worker.answer.extractive import CHARACTERS_MAX, SENTENCES_MAX, extract
from worker.vectors import Hit


def hits(*texts: str) -> list[Hit]:
    return [
        Hit(document_id="d", filename="f.pdf", page=n, chunk_index=n, text=text, score=1 / n)
        for n, text in enumerate(texts, start=1)
    ]


def test_sentences_stand_in_reading_order_each_with_its_citation() -> None:
    found = hits("Boats are washed after rowing. Boats are dried after washing.", "Rowing boats are insured.")
    text, citations = extract("When are the boats washed and dried?", found)
    assert text.startswith("Boats are washed after rowing. [1]")
    assert [c.n for c in citations] == list(range(1, len(citations) + 1))
    assert all(c.quote in found[c.page - 1].text for c in citations)


def test_an_answer_is_a_short_paragraph() -> None:
    long = " ".join(
        f"The harbour opens at six on day {n} of the winter season {'and so on ' * 20}." for n in range(9)
    )
    text, citations = extract("When does the harbour open in winter?", hits(long))
    assert 1 <= len(citations) <= SENTENCES_MAX
    assert len(text) <= CHARACTERS_MAX + 50


@pytest.mark.parametrize(
    ("question", "page", "answer"),
    [
        ("港は冬に何時に開きますか", "港は冬には六時に開きます。夏は五時です。舟は洗ってください。", "港は冬には六時に開きます。"),
        ("متى يفتح الميناء في الشتاء؟", "يفتح الميناء في الشتاء الساعة السادسة. القوارب حمراء.", "يفتح الميناء في الشتاء الساعة السادسة."),
        ("Who is the director?", "Dr. A. Smith is the director of the U.S. office. Boats are red.",
         "Dr. A. Smith is the director of the U.S. office."),
    ],
)  # fmt: skip
def test_it_works_in_other_scripts_and_with_abbreviations(question: str, page: str, answer: str) -> None:
    assert extract(question, hits(page))[0].startswith(f"{answer} [1]")


def test_links_and_numbers_of_the_page_itself_are_no_marks_of_the_answer() -> None:
    page = "The harbour opens at six [7], see https://evil.example/x for more."
    text, citations = extract("When does the harbour open?", hits(page))
    assert text == "The harbour opens at six, see … for more. [1]"
    assert citations[0].quote == page


@pytest.mark.parametrize("found", [[], hits(""), hits("Boats are red.")])
def test_nothing_fits_nothing_is_said(found: list[Hit]) -> None:
    assert extract("What is the capital of France?", found) == ("", ())
