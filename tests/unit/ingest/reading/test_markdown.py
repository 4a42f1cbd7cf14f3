"""Markdown's marks, each as it is shown."""

import time

import pytest

from app.core.formats import MediaType
from ingest.reading.limits import DOCUMENT_SECONDS
from ingest.reading.loaders import load

SHOWN = {
    "bold": ("The **Deposit** is *due*.", "The Deposit is due."),
    "underscores in a word": ("`snake_case` and snake_case_too", "snake_case and snake_case_too"),
    "stars that are no marks": ("3 * 4 * 5", "3 * 4 * 5"),
    "struck": ("~~old~~ new", "old new"),
    "a link": ('See [the form](https://x.example/form "t").', "See the form."),
    "a link elsewhere": ("See [the form][f].\n\n[f]: https://x.example", "See the form."),
    "an address": ("<https://x.example>", "https://x.example"),
    "a picture": ("Here ![a map](map.png) it is", "Here it is"),
    "code": ("Call `a **b** <!-- c -->`.", "Call a **b** <!-- c -->."),
    "a fence": ("```python\n# **not** a heading\n  x = 1\n```", "# **not** a heading\n x = 1"),
    "numbers": ("1. Fill\n2. Boil", "1. Fill\n2. Boil"),
    "numbers from three": ("3. Fill\n4. Boil", "3. Fill\n4. Boil"),
    "steps with points": ("1. Fill\n   - cold\n   - soft\n2. Boil", "1. Fill\n• cold\n• soft\n2. Boil"),
    "bullets": ("- Towel\n- Soap", "• Towel\n• Soap"),
    "definitions": ("Deposit\n: 1,800 euro\n\nNotice\n: 90 days", "Deposit: 1,800 euro\nNotice: 90 days"),
    "lines": ("Deposit: 1,800\nNotice: 90 days", "Deposit: 1,800\nNotice: 90 days"),
    "a note": ("Sales: 412[^1]\n\n[^1]: Unaudited.", "Sales: 412¹\n\n¹ Unaudited."),
    "named notes": ("A[^x] B[^y]\n\n[^y]: why\n\n[^x]: ex", "A¹ B²\n\n² why\n\n¹ ex"),
    "a note of nobody": ("A\n\n[^7]: seven", "A\n\n⁷ seven"),
    "raised figures": ("412<sup>2</sup> and 10<sup>6</sup>, H<sub>2</sub>O", "412² and 10^6, H₂O"),
    "a quote": ("> Be kind.", "Be kind."),
    "an escape": (r"5 \* 3 \# 2 &amp; more", "5 * 3 # 2 & more"),
    "a rule": ("one\n\n---\n\ntwo", "one\n\ntwo"),
    "front matter": ("---\ntitle: Leave\n# a note\nauthor: Ada\n---\nText", "title: Leave\nauthor: Ada\n\nText"),
}


@pytest.mark.parametrize("case", SHOWN)
def test_a_mark_is_read_as_it_is_shown(case: str) -> None:
    source, shown = SHOWN[case]
    assert (load(MediaType.MARKDOWN, source.encode()).pages[0].text or "").strip() == shown


def test_a_table_is_read_by_rows_and_the_line_below_its_heads_is_gone() -> None:
    data = b"| Years | Days **off** |\n|:---|---:|\n| 5 | 29 |\n| 10 | |\n\nMore."
    (page,) = load(MediaType.MARKDOWN, data).pages
    assert page.text == "Years | Days off\n5 | 29\n10 |\n\nMore."
    assert page.table_headers == ("Years | Days off",)


@pytest.mark.parametrize(
    ("source", "heading"),
    [
        ("# Otters", "Otters"),
        ("# Otters #", "Otters"),
        ("Otters\n======", "Otters"),
        ("Otters\n------", "Otters"),
        ("## The *sea* otter", "The sea otter"),
        ("<h2>Otters</h2>", "Otters"),
    ],
)
def test_a_heading_of_any_kind_is_known(source: str, heading: str) -> None:
    loaded = load(MediaType.MARKDOWN, f"{source}\n\nThey sleep.".encode())
    assert loaded.pages[0].headings == (heading,)
    assert loaded.pages[0].text == f"{heading}\n\nThey sleep."
    assert loaded.title == heading


def test_front_matter_tells_the_title() -> None:
    assert load(MediaType.MARKDOWN, b"---\ntitle: 'Leave policy'\n---\n# Leave").title == "Leave policy"


WITH_HTML = {
    "words of a hidden element": ("<div hidden>\n\nno **words**\n\n- no\n\n</div>\n\nyes", "yes"),
    "words behind it": ("<div hidden>no</div>\n\n# Yes\n\nyes", "Yes\n\nyes"),
    "what a style sheet hides": ("no **not**\n\n<style>strong { display: none }</style>", "no"),
    "a style sheet within an element": ("*no*\n\n<div><style>p { display: none }</style></div>\n\nno", ""),
    "an element that is not closed": ("a\n\n<section hidden>\n\nno\n\nno", "a"),
    "a closed one within it": ("<section hidden>\n\n<b>no</b>\n\nno\n\n</section>\n\nyes", "yes"),
    "a tag that ends with the next": ("yes\n\n<div hidden\n\n<b>no</b>\n\nno", "yes"),
    "a line's end in a cell": ("| a | b |\n|---|---|\n| 1<br>2 | 3 |", "a | b\n1 2 | 3"),
    "a hidden row": ("| a |\n|---|\n| <span hidden>no</span> 1 |", "a\n1"),
    "a raised figure that is not closed": ("a<sup>2\n\nb", "a²\n\nb"),
    "a link to what is named elsewhere": (
        "<b>see</b> [the form][f] [^1]\n\n[f]: x\n\n[^1]: n",
        "see the form ¹\n\n¹ n",
    ),
    "a note with HTML": ("A[^1]\n\n[^1]: <i>why</i>", "A¹\n\n¹ why"),
    "a list within": ("<div>\n\n3. a\n4. b\n\n</div>", "3. a\n4. b"),
}


@pytest.mark.parametrize("case", WITH_HTML)
def test_html_within_markdown_shows_and_hides_as_html_does(case: str) -> None:
    source, shown = WITH_HTML[case]
    assert (load(MediaType.MARKDOWN, source.encode()).pages[0].text or "").strip() == shown


@pytest.mark.parametrize("case", [case for case in SHOWN if case != "front matter"])
def test_a_mark_is_read_alike_within_html(case: str) -> None:
    source, shown = SHOWN[case]
    within = f"<div>\n\n{source}\n\n</div>\n"
    assert (load(MediaType.MARKDOWN, within.encode()).pages[0].text or "").strip() == shown


def test_a_long_text_is_read_within_the_time_that_a_document_has() -> None:
    line = (
        "The **Deposit** is *due* by [the form](https://x.example) or `call`.\nNotice: 412<sup>2</sup>\n\n- Towel\n\n"
    )
    source = (line * (1_000_000 // len(line))).encode()
    begun = time.process_time()
    load(MediaType.MARKDOWN, source)
    assert time.process_time() - begun < DOCUMENT_SECONDS / 4
