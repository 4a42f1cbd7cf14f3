"""BM25's terms are the same for a question and a chunk, in every script."""

from uuid import uuid5

import pytest

from worker.index.chunk_text import embedded_text, searched_text
from worker.vectors import POINT_NAMESPACE, Hit, document_vector, point_id, query_vector, terms


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


@pytest.mark.parametrize(
    ("question", "chunk"),
    [
        ("412", "Sales rose to 412² million."),
        ("412", "Sales rose to 412¹² million."),
        ("412", "Sales rose to 412⁽¹⁾ million."),
        ("revenue", "The revenue³ rose."),
        ("10^6", "3 x 10^6 cells"),
        ("m²", "1,250 m² of floor"),
        ("m2", "1,250 m² of floor"),
        ("H2O", "Water is H₂O."),
        ("CO₂", "CO2 and more"),
        ("2", "takes 2½ hours"),
        ("1,000", "the number 1,000₂"),
    ],
)
def test_raised_and_lowered_figures_hide_no_number_or_word(question: str, chunk: str) -> None:
    assert terms(question) <= terms(chunk)


@pytest.mark.parametrize(("question", "chunk"), [("4122", "412²"), ("106", "10^6"), ("106", "10⁶"), ("21", "2½")])
def test_raised_figures_make_no_other_number(question: str, chunk: str) -> None:
    assert not terms(question) & terms(chunk)


def test_a_chunk_is_embedded_under_its_table_s_header_once() -> None:
    header = "Category | Per year"
    assert embedded_text("Student | 110", table_headers=(header,)) == f"{header}\nStudent | 110"
    assert embedded_text(f"{header}\nStudent | 110", table_headers=(header,)) == f"{header}\nStudent | 110"


def test_a_broken_word_is_embedded_whole_and_searched_by_its_parts_too() -> None:
    assert embedded_text("the ware-\nhouse") == "the warehouse"
    assert searched_text("the ware-\nhouse") == "the warehouse ware house"


def test_a_points_id_is_the_uuid_of_its_name() -> None:
    for index in range(200):
        made = point_id(tenant="t", collection="ü", document_id="d", version="", chunk_index=index)
        assert made == str(uuid5(POINT_NAMESPACE, f"t\nü\nd\n\n{index}"))
