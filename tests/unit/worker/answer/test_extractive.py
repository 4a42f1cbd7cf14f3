"""Answers in the documents' own sentences."""

# ruff: noqa: E501
import re
from dataclasses import replace

import pytest

from tests.support.plain_pages import plain_index
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


FEES = "Membership | Who it is for | Per year"
STUDENT = "Student | In full-time education, 16 to 25 | £110"
LINES = "| Line 1 | Line 2"


def table(text: str, *headers: str, heading: str = "") -> list[Hit]:
    return [
        Hit(
            document_id="d",
            filename="f.pdf",
            page=1,
            chunk_index=0,
            text=text,
            score=1.0,
            heading=heading,
            table_headers=headers,
        )
    ]


@pytest.mark.parametrize(
    ("question", "text", "headers", "answer"),
    [
        # the row by its name, the cell by its column's heading, the words beside it
        ("What is the membership fee for students per year?", f"Fees\n{FEES}\nSenior | From 19 years | £240\n{STUDENT}",
         (FEES,), "Student: Per year £110 (In full-time education, 16 to 25) [1]"),
        # the header stands in another chunk
        ("What is the membership fee for students per year?", f"Fees\nSenior | From 19 years | £240\n{STUDENT}",
         (FEES,), "Student: Per year £110 (In full-time education, 16 to 25) [1]"),
        # the quantity asked for tells the cell
        ("How cold was it from January to March?", "Quarter | Mean | Rain\nJanuary to March | -11.2 °C | 71 mm",
         ("Quarter | Mean | Rain",), "January to March: Mean -11.2 °C [1]"),
        # names in the header
        ("When is the last departure of line 2?", f"{LINES}\nFirst departure | 6:15 | 7:40\nLast departure | 21:45 | 19:10",
         (LINES,), "Last departure: Line 2 19:10 [1]".replace("Line 2 ", "Line 2: ")),
        # a year in the header
        ("How many foxes were counted in 2025?", "Species | 2024 | 2025\nFox | 8 | 5\nBear | 14 | 9",
         ("Species | 2024 | 2025",), "Fox: 2025: 5 [1]"),
        # the unit in the header
        ("How much is a large service?", "Work | Price (EUR)\nSmall service | 65\nLarge service | 140",
         ("Work | Price (EUR)",), "Large service: Price (EUR) 140 [1]"),
        # a header that says nothing beside a cell that says all
        ("How many litres does the water tank hold?", "Property | Value\nWater tank | 2.4 litres, removable",
         ("Property | Value",), "Water tank: 2.4 litres, removable [1]"),
        # no column is asked for
        ("What does error E1 mean?", "Code | Cause | Remedy\nE1 | No water | Fill the tank\nE2 | Too hot | Wait",
         ("Code | Cause | Remedy",), "E1: Cause No water, Remedy Fill the tank [1]"),
        # the row whose cell and column the question has
        ("Which bench was built in 1987?", "Bench | Built | Wood\nHilltop | 1987 | Oak\nPond | 2004 | Larch",
         ("Bench | Built | Wood",), "Hilltop: Built 1987 (Oak) [1]"),
        ("Which item is on shelf C7?", "Item | Shelf\nSanding belt | C7\nWood oil | D2",
         ("Item | Shelf",), "Sanding belt: C7 [1]"),
        # money by its column's heading, beside counts and other quantities
        ("How much is a pack of RT-7 nails?", "Article | Pack of | Price\nRT-6 nail | 100 | 3.10\nRT-7 nail | 100 | 4.20",
         ("Article | Pack of | Price",), "RT-7 nail: Price 4.20 [1]"),
        ("What does RT-9 cost?", "Article | Contents | Price\nRT-8 glue | 50 g | 3.10\nRT-9 glue | 90 g | 4.20",
         ("Article | Contents | Price",), "RT-9 glue: Price 4.20 [1]"),
        ("How much is a van?", "| Single\nBus | 12.00\nVan up to 6 m | 41.00", ("| Single",),
         "Van up to 6 m: Single 41.00 [1]"),
        # labels within a line; who did it is said by what it is
        ("Who sent apologies?", "Present: Ada Ray, Bo Lind. Apologies: Cy Moor.", (), "Apologies: Cy Moor. [1]"),
        # adjectives of measure
        ("How high is the rent?", "The rent is 940 pounds a month. The ladder is 3 m long.", (),
         "The rent is 940 pounds a month. [1]"),
        ("How shallow is the pond?", "The pond is 40 cm deep. The pond belongs to the village.", (),
         "The pond is 40 cm deep. [1]"),
        # an item of a list says with its heading what of it; a short sentence is one
        ("Are scratches covered?", "What is not covered\n• Limescale\n• Scratches and dents\nHow to claim\nCall us.", (),
         "What is not covered: Scratches and dents [1]"),
        ("Can I pay in cash?", "Tickets are sold until five. Cash is not taken.", (), "Cash is not taken. [1]"),
        # irregular forms
        ("May I keep a dog?", "One cat or small dog may be kept. Smoking is allowed outside.", (),
         "One cat or small dog may be kept. [1]"),
        ("Where are the geese counted?", "Each goose on the lake is counted. Boats are red.", (),
         "Each goose on the lake is counted. [1]"),
        # a total
        ("What are the total costs?", "Item | Cost\nWages | 9,840 kr\nTotal | 16,645 kr",
         ("Item | Cost",), "Total: 16,645 kr [1]"),
        # a definition, a form's field
        ("What is an instalment?", "Flat: the rooms named above.\nInstalment: one third of the deposit.", (),
         "Instalment: one third of the deposit. [1]"),
        ("Who is the applicant?", "Name of the applicant: Ada Example\nPlate: XY 123", (),
         "Name of the applicant: Ada Example [1]"),
        # the steps of a list
        ("How do I descale the machine?", "Descaling the machine\n1. Switch off.\n2. Fill in acid.\n3. Wait.", (),
         "1. Switch off. [1] 2. Fill in acid. [1] 3. Wait. [1]"),
        # a section's first sentences
        ("How do I get my money back?", "Getting your money back\nHand in the report within 30 days.\nGetting there\n"
         "Take the train.", (), "Hand in the report within 30 days. [1]"),
        # one sentence alone, paraphrased
        ("How many bicycles fit in the shed?", "The bicycle shed has room for 40 bicycles.", (),
         "The bicycle shed has room for 40 bicycles. [1]"),
    ],
)  # fmt: skip
def test_every_form_of_statement_answers(question: str, text: str, headers: tuple[str, ...], answer: str) -> None:
    assert extract(question, table(text, *headers))[0] == answer


@pytest.mark.parametrize(
    ("question", "text", "headers"),
    [
        ("What does error E9 mean?", "Code | Meaning\nE1 | No water\nE2 | Too hot", ("Code | Meaning",)),
        ("How many foxes were counted in 1987?", "Species | 2024 | 2025\nFox | 8 | 5", ("Species | 2024 | 2025",)),
        ("How much may a hotel in Lagos cost?", "Place | Hotel\nTokyo | £260\nParis | £210", ("Place | Hotel",)),
        ("What is the capital of Australia?", "The capital of France is Paris. Australia Street is closed.", ()),
        ("Who is the captain of the Alka?", "Ferry | Pier\nAlka | A", ("Ferry | Pier",)),
        ("What is the insurance for a cargo bike?", "Bicycle | Price\nCargo bike | £40", ("Bicycle | Price",)),
        ("How much is the rent for a garden?", "Item | Amount\nBasic rent | £40", ("Item | Amount",)),
        ("What was the sodium result?", "Parameter | Result\nPotassium | 4.1", ("Parameter | Result",)),
        ("When was the landlord born?", "The landlord pays for repairs.", ()),
        ("How many kayaks fit in the bicycle shed?", "The bicycle shed has room for 40 bicycles.", ()),
        ("Getting your money back", "Getting your money back", ()),
        ("Which bench was built in 1987?", "Bench | Built | Sold\nHilltop | 1960 | 1987", ("Bench | Built | Sold",)),
        ("What is the mayor's salary?", "Reports that come early are paid with that month's salary.", ()),
        ("May I keep a dog?", "The winners keep the cup for a year. The cup is silver.", ()),
        ("How heavy is the machine?", "Code | Meaning\nE7 | Switch the machine off", ("Code | Meaning",)),
    ],
)  # fmt: skip
def test_what_is_only_near_is_no_answer(question: str, text: str, headers: tuple[str, ...]) -> None:
    assert extract(question, table(text, *headers)) == ("", ())


def test_a_row_is_quoted_as_its_page_has_it() -> None:
    _, [citation] = extract("What is the membership fee for students?", table(f"{FEES}\n{STUDENT}", FEES))
    assert citation.quote == "Student In full-time education, 16 to 25 £110"


def test_a_year_may_stand_in_the_documents_title() -> None:
    found = [replace(hit, title="Report of 2025") for hit in hits("Aurora was seen on 117 nights.")]
    assert extract("On how many nights was aurora seen in 2025?", found)[0] == "Aurora was seen on 117 nights. [1]"
    assert extract("On how many nights was aurora seen in 2019?", found)[0] == ""


def test_what_a_document_is_about_need_not_stand_in_its_rows() -> None:
    [hit] = table("Property | Value\nMains | 230 V\nWeight | 17 kg", "Property | Value")
    found = [replace(hit, title="Kiln 4, a machine for bread"), *table("The machine is red.")]
    assert extract("How heavy is the machine?", found)[0] == "Weight: 17 kg [1]"


def test_whose_something_is_may_stand_elsewhere_in_the_document() -> None:
    found = hits("The mayor is elected for four years.", "The salary is 90 pounds a month.")
    assert extract("What is the mayor's salary?", found)[0] == "The salary is 90 pounds a month. [1]"


@pytest.mark.parametrize("half", ["develop", "judge"])
def test_every_word_of_an_answer_stands_in_what_it_cites(half: str) -> None:
    index, questions = plain_index(half)
    for asked in questions:
        found = index.search(asked.question)
        text, citations = extract(asked.question, found)
        cited = {c.document_id for c in citations}
        seen = " ".join(" ".join([h.text, *h.table_headers]) for h in found if h.document_id in cited)
        said = re.sub(r"\[\d\]", " ", text)
        assert set(re.findall(r"\w+", said)) <= set(re.findall(r"\w+", seen)), asked.question
