"""BM25's terms are the same for a question and a chunk, in every script."""

import pytest

from worker.index.chunk_text import embedded_text
from worker.vectors import Hit, document_vector, point_id, query_vector, terms


@pytest.mark.parametrize(
    ("question", "chunk"),
    [
        ("boats", "Every boat is washed."),
        ("绿茶", "泡绿茶的水不能太烫。"),
        ("茶", "泡绿茶的水不能太烫。"),
        ("サワードウ", "サワードウの種は毎日育てる。"),
        ("날씨", "오늘의 날씨 좋다"),
        ("อากาศ", "วันนี้อากาศดีมาก"),
        ("العجين", "يحتاج العجين إلى وقت"),
        ("שלום", "אמר שלום לכולם"),
        ("finance", "The ﬁnance office"),
        ("Qdrant", "Ｑｄｒａｎｔ is written wide"),  # noqa: RUF001  wide letters are the point
        ("ﻣﺮﺣﺒﺎ", "مرحبا بالعالم"),
    ],
)
def test_a_question_meets_its_chunk(question: str, chunk: str) -> None:
    assert terms(question) & terms(chunk)


def test_other_words_do_not_meet() -> None:
    assert not terms("天气") & terms("泡绿茶的水")
    assert not terms("harbour") & terms("Every boat is washed.")


def test_two_characters_in_a_row_say_more_than_the_same_two_apart() -> None:
    asked = terms("绿茶")
    assert len(asked & terms("喝绿茶")) > len(asked & terms("绿色的茶杯"))


def test_a_question_has_weight_one_for_each_term_and_a_chunk_more_for_what_it_repeats() -> None:
    assert set(query_vector("boat boat harbour").values) == {1.0}
    once, often = document_vector("boat harbour wind"), document_vector("boat boat boat harbour wind")
    [boat] = terms("boat")
    assert dict(zip(*often, strict=True))[boat] > dict(zip(*once, strict=True))[boat]


@pytest.mark.parametrize("text", ["", "the of and", "?!", "\x00\u202e"])
def test_a_question_without_a_term_is_an_empty_vector(text: str) -> None:
    assert query_vector(text) == ([], [])


def test_a_points_id_depends_on_all_that_names_the_chunk() -> None:
    whole = {"tenant": "t", "collection": "c", "document_id": "d", "version": "v", "chunk_index": 0}
    ids = {point_id(**whole | change) for change in ({}, {"tenant": "u"}, {"version": "w"}, {"chunk_index": 1})}  # type: ignore[arg-type]
    assert len(ids) == 4
    assert point_id(**whole) == point_id(**whole)  # type: ignore[arg-type]


def test_a_hit_ends_on_its_page_unless_it_says_otherwise() -> None:
    hit = Hit(document_id="d", filename="d.pdf", page=3, chunk_index=0, text="t", score=1.0)
    assert (hit.page, hit.last_page) == (3, 3)


def test_what_is_embedded_carries_name_title_and_heading_each_once() -> None:
    assert embedded_text("Words.", title="Annual report", heading="Fees", filename="ACME_2020_10K.pdf") == (
        "ACME 2020 10K\nAnnual report\nFees\nWords."
    )
    assert embedded_text("Words.", title="Acme 2020 10K report", filename="ACME_2020_10K.pdf") == (
        "Acme 2020 10K report\nWords."
    )
    assert embedded_text("Words.") == "Words."
