"""HTML's elements, each as a browser shows it."""

import pytest

from app.core.formats import MediaType
from ingest.reading.loaders import load

SHOWN = {
    "raised figure": ("<p>Sales rose to 412<sup>2</sup> million.</p>", "Sales rose to 412² million."),
    "raised figures": ("<p>4<sup>12</sup></p>", "4¹²"),
    "link to a note": ('<p>412<sup><a href="#fn1">1</a></sup></p>', "412¹"),
    "link around a note": ('<p>412<a href="#fn1"><sup>1</sup></a></p>', "412¹"),
    "link to a note behind a ten": ('<p>By 10<sup><a href="#fn1">3</a></sup> votes</p>', "By 10³ votes"),
    "note in brackets": ('<p>412<sup><a href="#cite">[3]</a></sup></p>', "412³"),
    "lettered note": ("<p>revenue<sup>a</sup> rose</p>", "revenueᵃ rose"),
    "starred note": ("<p>revenue<sup>*</sup> rose</p>", "revenue* rose"),
    "exponent": ("<p>3 &times; 10<sup>6</sup> cells</p>", "3 \u00d7 10^6 cells"),
    "negative exponent": ("<p>10<sup>\u22126</sup> m s<sup>-1</sup></p>", "10^-6 m s⁻¹"),
    "a formula": (
        "<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><msub><mi>a</mi><mn>1</mn></msub>"
        "<mfrac><mn>1</mn><mn>2</mn></mfrac></math>",
        "x²+a₁1/2",
    ),
    "a formula's source": ("<math><mi>x</mi><annotation>x_source</annotation></math>", "x"),
    "a drawing's name": ("<svg><title>Icon</title><text>Harbour</text></svg>", "Harbour"),
    "pence": ("<p>$19<sup>99</sup></p>", "$19.99"),
    "unit": ("<p>1,250 m<sup>2</sup></p>", "1,250 m²"),
    "ordinals": ("<p>1<sup>st</sup> 2<sup>nd</sup> 1<sup>er</sup> 2<sup>e</sup></p>", "1st 2nd 1er 2e"),
    "trade mark": ("<p>Acme<sup>TM</sup></p>", "Acme™"),
    "lowered": ("<p>H<sub>2</sub>O</p>", "H₂O"),
    "raised by a style": ('<p>412<span style="vertical-align:super">2</span></p>', "412²"),
    "a figure within a figure": ("<p>21<sup>1</sup>:00</p>", "21¹:00"),
    "numbers": ("<ol><li>Fill<li>Boil</ol>", "1. Fill\n2. Boil"),
    "numbers from three": ("<ol start=3><li>Fill<li>Boil</ol>", "3. Fill\n4. Boil"),
    "numbers down": ("<ol reversed><li>Two<li>One</ol>", "2. Two\n1. One"),
    "a number of its own": ("<ol><li value=7>Seven<li>Eight</ol>", "7. Seven\n8. Eight"),
    "letters": ('<ol type="a"><li>Fill<li>Boil</ol>', "a. Fill\nb. Boil"),
    "Roman numbers": ('<ol type="I"><li>Fill<li>Boil</ol>', "I. Fill\nII. Boil"),
    "numbers in numbers": ("<ol><li>A<ol><li>B</ol><li>C</ol>", "1. A\n1. B\n2. C"),
    "bullets": ("<ul><li>Towel<li>Soap</ul>", "• Towel\n• Soap"),
    "a list without marks": ('<ul style="list-style:none"><li>Towel</ul>', "Towel"),
    "a menu": ("<nav><ul><li>Home<li>Prices</ul></nav>", "Home\nPrices"),
    "definitions": (
        "<dl><dt>Deposit<dd>1,800 euro<dt>Notice<dd>90 days</dl>",
        "Deposit: 1,800 euro\nNotice: 90 days",
    ),
    "definitions in divisions": ("<dl><div><dt>Deposit</dt><dd>1 euro</dd></div></dl>", "Deposit: 1 euro"),
    "two terms, two meanings": ("<dl><dt>A<dt>B:<dd>one<dd>two</dl>", "A, B: one; two"),
    "a long definition": ("<dl><dt>Keys<dd><p>Two.</p><p>Blue.</p></dl>", "Keys:\nTwo.\n\nBlue."),
    "a label around a field": ('<label>Name: <input value="Ada"></label>', "Name: Ada"),
    "a label beside a field": ('<label for=a>Name</label> <input id=a value="Ada">', "Name: Ada"),
    "a label elsewhere": ('<p><label for=a>Name</label></p><p><input id=a value="Ada"></p>', "Name\n\nName: Ada"),
    "a chosen option": ("<label>Meal <select><option>Fish<option selected>Soup</select></label>", "Meal: Soup"),
    "the first option": ("<label>Meal <select><option>Fish<option>Soup</select></label>", "Meal: Fish"),
    "a ticked box": ("<label><input type=checkbox checked> Vegan</label>", "☑ Vegan"),
    "an empty box": ("<label><input type=checkbox> Vegan</label>", "☐ Vegan"),
    "a chosen button": ("<label><input type=radio checked> Yes</label>", "◉ Yes"),
    "a text field": ("<label>Notes <textarea>No nuts</textarea></label>", "Notes: No nuts"),
    "no field to see": ('<p>Name<input type=hidden value="x"><input type=password value="x"></p>', "Name"),
    "an abbreviation": ('<p><abbr title="World Health Organization">WHO</abbr></p>', "WHO"),
    "folded details": ("<details><summary>More</summary>Bring a towel.</details>", "More\n\nBring a towel."),
    "a word that may break": ("<p>trans<wbr>portation, soft&shy;ware</p>", "transportation, software"),
    "kept lines": ("<pre>one\ntwo</pre>", "one\ntwo"),
    "lines of the source": ("<p>one\n  two</p>", "one two"),
    "lines": ("<p>one<br>two</p>", "one\ntwo"),
    "paragraphs that are not closed": ("<p>one<p>two<div>three</div>", "one\n\ntwo\n\nthree"),
    "a hidden paragraph that is not closed": ("<p hidden>no<p>yes", "yes"),
}
TABLES = {
    "heads": ("<tr><th>Day<th>Price<tr><td>Mon<td>4", "Day | Price\nMon | 4", ("Day | Price",)),
    "a head": ("<thead><tr><td>Day<td>Price<tbody><tr><td>Mon<td>4", "Day | Price\nMon | 4", ("Day | Price",)),
    "bold heads": (
        "<tr><td><b>Day</b><td><b>2025</b><tr><td>Mon<td>4",
        "Day | 2025\nMon | 4",
        ("Day | 2025",),
    ),
    "words above figures": (
        "<tr><td>Day<td>Price<tr><td>Mon<td>4<tr><td>Tue<td>5",
        "Day | Price\nMon | 4\nTue | 5",
        ("Day | Price",),
    ),
    "no heads": ("<tr><td>Deposit<td>1,800 euro<tr><td>Pets<td>allowed", "Deposit | 1,800 euro\nPets | allowed", ()),
    "heads of rows": ("<tr><th>Deposit<td>1,800<tr><th>Pets<td>no", "Deposit | 1,800\nPets | no", ()),
    "two rows of heads": (
        "<tr><th rowspan=2>Who<th colspan=2>Price<tr><th>Adult<th>Child<tr><td>Mon<td>4<td>2",
        "Who | Price Adult | Price Child\nMon | 4 | 2",
        ("Who | Price Adult | Price Child",),
    ),
    "a title and heads": (
        "<tr><th colspan=2>Fees<tr><th>Day<th>Price<tr><td>Mon<td>4",
        "Fees\nDay | Price\nMon | 4",
        ("Day | Price",),
    ),
    "a title of rows": (
        "<thead><tr><th>Item<th>Price<tbody><tr><th colspan=2>Boats<tr><td>Canoe<td>30",
        "Item | Price\nBoats\nCanoe | 30",
        ("Item | Price",),
    ),
    "new heads": (
        "<tr><th>Day<th>Price<tr><td>Mon<td>4<tr><th>Month<th>Price<tr><td>May<td>9",
        "Day | Price\nMon | 4\nMonth | Price\nMay | 9",
        ("Day | Price", "Month | Price"),
    ),
    "a cell of two rows": (
        "<tr><th>Day<th>Time<th>What<tr><td rowspan=2>Mon<td>9<td>Swim<tr><td>10<td>Yoga",
        "Day | Time | What\nMon | 9 | Swim\nMon | 10 | Yoga",
        ("Day | Time | What",),
    ),
    "a cell of two columns": (
        "<tr><th>Day<th>A<th>B<tr><td>Mon<td colspan=2>closed<tr><td>Tue<td>1<td>2",
        "Day | A | B\nMon | closed |\nTue | 1 | 2",
        ("Day | A | B",),
    ),
    "a bar in a cell": ("<tr><th>A<th>B<tr><td>x | y<td>|", "A | B\nx \u00a6 y | \u00a6", ("A | B",)),
    "an empty cell": ("<tr><th>A<th>B<th>C<tr><td>1<td><td>3", "A | B | C\n1 | | 3", ("A | B | C",)),
    "a caption": (
        "<caption>Fees</caption><tr><th>A<th>B<tr><td>1<td>2",
        "Fees\nA | B\n1 | 2",
        ("A | B",),
    ),
    "a wrapped cell": ("<tr><th>A<th>B<tr><td>one<br>two<td><p>three</p>", "A | B\none two | three", ("A | B",)),
    "a hidden row": ("<tr><th>A<th>B<tr hidden><td>x<td>y<tr><td>1<td>2", "A | B\n1 | 2", ("A | B",)),
    "a table in a cell": (
        "<tr><th>A<th>B<tr><td>1<td><table><tr><td>x<td>y</table><tr><td>2<td>3",
        "A | B\n1 | x y\n2 | 3",
        ("A | B",),
    ),
}


@pytest.mark.parametrize("case", SHOWN)
def test_an_element_is_read_as_it_is_shown(case: str) -> None:
    html, shown = SHOWN[case]
    assert (load(MediaType.HTML, html.encode()).pages[0].text or "").strip() == shown


@pytest.mark.parametrize("case", TABLES)
def test_a_table_is_read_by_rows(case: str) -> None:
    rows, shown, heads = TABLES[case]
    (page,) = load(MediaType.HTML, f"<table>{rows}</table>".encode()).pages
    assert page.text == shown
    assert page.table_headers == heads


def test_a_table_that_lays_out_the_page_is_prose_around_its_tables() -> None:
    data = b"""<table><tr><td><h2>Prices</h2><p>Pay at the desk.</p></td>
        <td><table><tr><th>Day<th>Price<tr><td>Mon<td>4</table></td></tr></table>"""
    (page,) = load(MediaType.HTML, data).pages
    assert page.text == "Prices\n\nPay at the desk.\n\nDay | Price\nMon | 4"
    assert page.headings == ("Prices",)
    assert page.table_headers == ("Day | Price",)


def test_a_heading_of_two_lines_is_one_and_heads_the_document() -> None:
    loaded = load(MediaType.HTML, b"<h1>Rules<br>of <i>the</i> house</h1><ol><li><h2>Noise</h2>None.</ol>")
    assert loaded.pages[0].headings == ("Rules of the house", "1. Noise")
    assert set(loaded.pages[0].headings) <= set((loaded.pages[0].text or "").splitlines())
    assert loaded.title == "Rules of the house"


@pytest.mark.parametrize(
    "unit", ["<table><tr><td>", "<div>", "<ul><li>", "<dl><dd>", "<sup>", "<td colspan=9999 rowspan=9999>x"]
)
def test_a_page_of_elements_within_one_another_is_read_in_time(unit: str) -> None:
    html = f"<table><tr>{unit}" if unit.startswith("<td") else unit
    load(MediaType.HTML, (html * 1_500).encode())
