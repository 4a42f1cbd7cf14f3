"""Markdown's marks, each as it is shown."""

import pytest

from app.core.formats import MediaType
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
