"""What a chunk says: statements of every form, each under what it stands under."""

import pytest

from worker.answer.statements import Form, Statement, read_chunk
from worker.answer.word_forms import terms
from worker.vectors import Hit


def said(text: str, *headers: str, heading: str = "") -> list[Statement]:
    hit = Hit("d", "f.pdf", page=1, chunk_index=0, text=text, score=1.0, heading=heading, table_headers=headers)
    return list(read_chunk(hit).statements)


@pytest.mark.parametrize(
    ("text", "form", "quoted"),
    [
        ("Boats are washed after rowing.", Form.SENTENCE, "Boats are washed after rowing."),
        ("Harbour Lane Rowing Club, a footer", Form.FRAGMENT, "Harbour Lane Rowing Club, a footer"),
        ("Name of the applicant: Ada Example", Form.FIELD, "Name of the applicant: Ada Example"),
        ("Instalment: one third of the deposit.", Form.FIELD, "Instalment: one third of the deposit."),
        ("Straße: Hauptstraße 3", Form.FIELD, "Straße: Hauptstraße 3"),
        ("1. Switch off. Wait a minute.", Form.STEP, "1. Switch off. Wait a minute."),
        ("(2) Push the tank back.", Form.STEP, "(2) Push the tank back."),
        ("Water tank | 2.4 litres", Form.ROW, "Water tank 2.4 litres"),
        ("| 2.4 litres | 9 bar", Form.ROW, "2.4 litres 9 bar"),
    ],
)
def test_each_form_is_told_and_quoted_as_the_page_has_it(text: str, form: Form, quoted: str) -> None:
    [statement] = said(text)
    assert (statement.form, statement.text) == (form, quoted)


@pytest.mark.parametrize(
    "heading", ["Getting your money back", "7 Getting your money back", "## Getting your money back", "Money back?"]
)
@pytest.mark.parametrize("below", ["Hand in the report.", "Report: on paper", "1. Hand it in", "Report | on paper"])
def test_a_heading_is_no_statement_and_stands_above_those_below_it(heading: str, below: str) -> None:
    for statement in said(f"{heading}\n{below}\n"):
        assert statement.text != heading
        assert terms("money back") <= statement.scope


def test_a_heading_behind_a_paragraph_as_wide_as_the_page_is_a_heading() -> None:
    text = "Each passenger may take two pieces of luggage on board, one day ahead.\nLost property\nIt is kept here."
    assert [s.text for s in said(text)][1:] == ["It is kept here."]
    assert terms("lost property") <= said(text)[1].scope


@pytest.mark.parametrize(
    "text",
    [
        "Category | Per year\nStudent | £110",
        "Old table | Cell\nx | y\nCategory | Per year\nStudent | £110",
        "Student | £110",
    ],
)
def test_a_row_has_its_own_tables_header(text: str) -> None:
    headers = [header for header in ("Old table | Cell", "Category | Per year") if header in text]
    [student] = [s for s in said(text, *headers or ["Category | Per year"]) if s.name == "Student"]
    assert [(column.heading, column.cell) for column in student.columns] == [("Per year", "£110")]


def test_a_header_of_another_table_names_no_columns() -> None:
    [row] = said("Student | £110", "A | B | C")
    assert [(column.heading, column.cell) for column in row.columns] == [("", "£110")]


def test_an_empty_cell_keeps_its_place() -> None:
    [row] = said("Basic | | 20", "Item | Before | After")
    assert [(column.heading, column.cell) for column in row.columns] == [("After", "20")]


def test_a_header_without_a_first_cell_names_the_others() -> None:
    [row] = said("| Line 1 | Line 2\nLast departure | 21:45 | 19:10", "| Line 1 | Line 2")
    assert [(column.heading, column.cell) for column in row.columns] == [("Line 1", "21:45"), ("Line 2", "19:10")]


@pytest.mark.parametrize("said_next", ["It costs £60.", "They cost £60.", "This costs £60."])
def test_a_sentence_that_goes_on_is_about_what_the_one_before_is_about(said_next: str) -> None:
    first, second = said(f"The beginners' course has six mornings. {said_next}")
    assert first.terms <= second.scope


def test_what_leads_in_stands_above_the_list() -> None:
    [_, step] = said("To claim it:\n1. Keep your ticket.")
    assert terms("claim") <= step.scope


def test_reading_takes_linear_time_on_hostile_text() -> None:
    assert said("a: " * 100_000)
    assert said(" | ".join("x" * 50_000))


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("Ferry | Pier\nAlka | 1\nLunde | 2", ["Pier"]),
        ("| Line 1\nFrom | Hafnar\nTo | Grisey", ["Line 1"]),
        ("Alka | 7\nLunde | 1\nTeist | 2", [""]),
        ("Alka | A\nLunde | B\nTeist | C", [""]),
        ("Ferry | Pier\nAlka | 1", [""]),
    ],
)
def test_a_first_row_above_figures_names_columns_where_no_reader_said_so(text: str, headings: list[str]) -> None:
    assert [column.heading for column in said(text)[-1].columns] == headings
