"""What leaves a model's answer: nothing that a renderer makes a link or an image of, however it came in."""

# ruff: noqa: E501, RUF001  tables of real and of hostile text, with the letters that it has
import random
import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from worker.answer.markup import Scanner, without_hidden
from worker.answer.sanitize import AnswerStream, sanitized

FRAGMENTS = [
    *"[]()<>!`~\\$:|#*_=.-+'\"", "``", "```", "~~~", "\n", "\n\n", " ", "   ", "    ", "\t", "\r", "\u200b", "- ", "> ", "1. ",
    "\n|---|---|\n", "![", "](", "]:", "$$", r"\[", r"\]", r"\(", r"\)", "a", "b", "1", "[1]", "[9]", "[a]", "(/u)", "[a]: /u ",
    "[a](/u)", "![a](/u)", "[a][b]", "[b]: /u\n", "http://e.co/x", "https://", "www.e.co", "javascript:x",
    "data:image/png,x", "<b>", "</b>", "<img src=x>", "<a href=/u>", "<!--", "-->", "<http://e.co>", "<x@y.zz>", "//", "e.co/p",
    "&#58;", "&amp;", "【1】", "(source 1)", "(s", "\\href", "。", "：", "ｈｔｔｐ：／／e.co", "```py\n", "```\n", "   ```\n",
    "> ```\n", "- ```\n", "`[a](/u)`", "<div>\n", "<script>", "\\`",
]  # fmt: skip
LIVE = {"link_open", "image", "html_inline", "html_block"}
ADDRESS = re.compile(r"[a-z]+://\w|www\.\w|javascript:\S", re.IGNORECASE)
RENDERERS = (
    MarkdownIt("commonmark", {"html": True}),
    MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]),
)


def hostile(seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chance.choice(FRAGMENTS) for _ in range(chance.randint(1, 25)))


def leaks(tokens: list[Token]) -> list[str]:
    found = [token.type for token in tokens if token.type in LIVE]
    found += [token.content for token in tokens if token.type == "text" and ADDRESS.search(token.content)]
    return found + [leak for token in tokens for leak in leaks(token.children or [])]


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_no_renderer_finds_a_link_an_image_or_html_in_it(first: int) -> None:
    for seed in range(first, first + 100):
        shown = sanitized(hostile(seed), sources=1)
        for renderer in RENDERERS:
            assert leaks(renderer.parse(shown)) == [], (hostile(seed), shown)


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_nor_where_marks_are_dropped_that_do_not_hold(first: int) -> None:
    for seed in range(first, first + 100):
        scanner = Scanner(lambda numbers, said: [n for n in numbers if len(said) % 2])
        shown = "".join(map(str, scanner.scan(hostile(seed), final=True)))
        for renderer in RENDERERS:
            assert leaks(renderer.parse(shown)) == [], (hostile(seed), shown)


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_deltas_add_up_to_the_same_however_they_were_cut(first: int) -> None:
    for seed in range(first, first + 100):
        text, chance, shown = hostile(seed), random.Random(seed), ""
        stream, position = AnswerStream(sources=1), 0
        while position < len(text):
            size = chance.choice((1, 1, 2, 3, 7))
            shown += stream.feed(text[position : position + size])
            position += size
        assert shown + stream.finish() == sanitized(text, sources=1), text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("See [the page](https://evil.example/?q=secret).", "See the page."),
        ("![chart](https://evil.example/?q=secret)", "chart"),
        ("[![a](http://i.example)](http://l.example)", "a"),
        ("![a](data:image/png;base64,AAAA)", "a"),
        ("![a][b] [c][d]\n\n[b]: https://evil.example", "a c\n\nb: …"),
        ("[1]: https://evil.example", "[1] …"),
        ("<img src='https://evil.example'>Hi<br/>there", "Hi there"),
        ("<a href=https://evil.example>here</a>", "here"),
        ("<https://evil.example/x> and <me@host.example>", "… and me@host.example"),
        ("Go to https://evil.example/x, or www.evil.example.", "Go to …, or …."),
        ("Go to evil.example/path now", "Go to … now"),
        ("mailto:me@host.example", "me@host.example"),
        ("javascript:alert", "…"),
        ("www<b></b>.evil.example", "…"),
        ("<<b>script>alert<</b>/script>", "< script>alert< /script>"),
        ("https&#58;//evil.example", "…"),
        ("ｈｔｔｐｓ：／／evil.example", "…"),
        ("htt\u200bps://evil.example", "…"),
        ("a\U000e0041\u202eb", "ab"),
        ("[1](https://evil.example)", "[1]"),
        (r"\href{https://evil.example}{x}", "href{…}{x}"),
    ],
)  # fmt: skip
def test_what_could_be_followed_is_reduced_to_its_text(said: str, shown: str) -> None:
    assert sanitized(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        "Use `a[0](b) < c` or `<div>`.",
        "```py\nx = a[1](https://host.example)\n```\nDone.",
        r"$x \in [0, 1]$ and \( a[1] \) and \[ b_{[2]} \]",
        "if x < y and 3 > 2, [sic] a[i]: **bold**, _it_, ~~no~~, | a | b |",
        "$5 [1] and $10.50, 1/2, 12:30, he/she, A&B, e.g. this; report.pdf",
        "港は六時に開く[1]。 הנמל נפתח. می‌شود",
        "travel@acme-widget.example",
    ],
)
def test_text_code_and_formulas_stay_as_they_are(said: str) -> None:
    assert sanitized(said) == said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a [1, 2] b [1-3] c [^1] d", "a [1][2] b [1][2][3] c [1] d"),
        ("a【1†source】 (source 2) [Source 1, p. 12] (Sources 1 and 3)", "a[1] [2] [1] [1][3]"),
        ("a [9] b [0]. c [99999999999999999].", "a b. c."),
    ],
)
def test_marks_are_written_in_one_way_and_point_at_sources(said: str, shown: str) -> None:
    assert sanitized(said, sources=3) == shown


def test_plain_words_are_shown_at_once_but_for_the_last() -> None:
    stream = AnswerStream()
    assert stream.feed("The harbour opens") == "The harbour "
    assert stream.feed(" at six.") == "opens at "
    assert stream.finish() == "six."


@pytest.mark.parametrize(
    "part",
    ["[", "[a](", "<a ", "`a", "a.", "$a", r"\[", "(source", "<!--", "http://", "&#", "[[a](b", " ", "\n", "`", "~"],
)
def test_hostile_repetition_takes_linear_time(part: str) -> None:
    """Quadratic work on this much text would take minutes."""
    sanitized(part * (100_000 // len(part)))


def test_what_is_hidden_goes_and_all_else_stays() -> None:
    for code in (*range(0x300), *range(0x1F00, 0x2100), 0xFEFF, 0xE0041):
        character = chr(code)
        is_hidden = code < 0x20 or 0x7F <= code <= 0x9F or code in (0xAD, 0x34F, 0x200B, 0xFEFF, 0xE0041)
        is_hidden |= 0x202A <= code <= 0x202E or 0x2060 <= code <= 0x206F
        expected = "" if is_hidden and character not in "\t\n" else character
        if code in (0x2028, 0x2029):
            expected = "\n"
        assert without_hidden(f"a {character}\t\nb") == f"a {expected}\t\nb", hex(code)
