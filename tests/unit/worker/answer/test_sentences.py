"""Sentences as a reader would mark them."""

import pytest

from worker.answer.sentences import QUOTE_MAX_CHARACTERS, clip, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. No met Mr. Bond. They spoke.", ["Dr. No met Mr. Bond.", "They spoke."]),
        ("It costs 3.50 euro. Pay.", ["It costs 3.50 euro.", "Pay."]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("A line that the width\nof the page broke.", ["A line that the width of the page broke."]),
        ("Opening hours\nThe harbour opens at six in winter and at five in summer.",
         ["Opening hours", "The harbour opens at six in winter and at five in summer."]),
        ("- one thing\n- Another thing", ["one thing", "Another thing"]),
        ("Para one\n\npara two", ["Para one", "para two"]),
        ("保証は二年です。部品は含みません。", ["保証は二年です。", "部品は含みません。"]),
        ("", []),
        (" \n ", []),
        ("no end", ["no end"]),
    ],
)  # fmt: skip
def test_split(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_no_word_is_lost_or_made_up() -> None:
    text = "Title\nA. B sees C. 1. item one; e.g. this\n• bullet\nend of story"
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.replace("•", "").split())


def test_a_long_quote_is_cut_between_words() -> None:
    cut = clip("word " * 200)
    assert len(cut) <= QUOTE_MAX_CHARACTERS
    assert cut.endswith("word")


def test_splitting_takes_linear_time_on_hostile_text() -> None:
    assert len(split_sentences("a.b" * 500_000)) == 1
    assert split_sentences("." * 500_000)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("See No. 5 on p. 3. The U.S. Government acts.", ["See No. 5 on p. 3.", "The U.S. Government acts."]),
        ("It is Acme Inc. The firm grew.", ["It is Acme Inc.", "The firm grew."]),
        ("1. Switch off. 2. Put acid.", ["1. Switch off.", "2. Put acid."]),
        ("Fuel and supplies 3,120\nInstruments 2,275\nRepairs with the mast 1,410",
         ["Fuel and supplies 3,120", "Instruments 2,275", "Repairs with the mast 1,410"]),
        ("Application for a parking permit\nApplicant's name: Ada Example\nPlate: QX 77",
         ["Application for a parking permit", "Applicant's name: Ada Example", "Plate: QX 77"]),
        ("هل الميناء مفتوح؟ نعم، يفتح.", ["هل الميناء مفتوح؟", "نعم، يفتح."]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
    ],
)  # fmt: skip
def test_abbreviations_lists_tables_and_other_scripts(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Sales of 2024.² They rose.", ["Sales of 2024.²", "They rose."]),
        ("Sales rose to 412² million. They fell.", ["Sales rose to 412² million.", "They fell."]),
        ("The transporta-\ntion of goods. It is paid.", ["The transportation of goods.", "It is paid."]),
        ("A long-\nterm plan. A long-term one.", ["A long-term plan.", "A long-term one."]),
        (
            "The leave of every employee,\fis thirty days. More.",
            ["The leave of every employee, is thirty days.", "More."],
        ),
        ("Short\fGermans go on. More.", ["Short Germans go on.", "More."]),
        ("the transporta-\ftion of goods.", ["the transportation of goods."]),
    ],
)
def test_footnotes_broken_words_and_page_ends(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences
