"""A page's text as parsers give it, made plain."""

import re
import unicodedata

LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
HYPHEN = "[\x02\ufffe\u00ad\u2010-]"
"""pdfium writes U+0002 (or U+FFFE) for a hyphen at a line's end, and joins the lines; others leave both."""
SIGNS_OF_A_BROKEN_WORD = ("-\n", "\u2010\n", "\x02", "\ufffe", "\u00ad")
BROKEN_WORD = re.compile(rf"(?<!\w)(\w{{1,60}})(?:{HYPHEN}\n|[\x02\ufffe\u00ad])(?=(\w{{1,60}})(?!\w))")
NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\ud800-\udfff\ufeff\uffff]")
WORD = re.compile(r"\w{1,120}")
BLANKS = re.compile("[ \t\u00a0]{2,}|[\t\u00a0]")
EMPTY_LINES = re.compile("\n{3,}")
LIGATURES = {0xFB00 + n: letters for n, letters in enumerate(("ff", "fi", "fl", "ffi", "ffl", "st", "st"))}
"""Signs for two or three letters, which NFC leaves; nobody types them into a question."""
HAS_LIGATURE = re.compile("[\ufb00-\ufb06]")


def clean(text: str) -> str:
    """The page's own words as plain text: NFC, lines ended by a newline, no control characters, no runs of blanks.

    A word broken at a line's end is made whole when the page has the whole word elsewhere, too; else it keeps its
    hyphen ("long-term" is broken just like "informa-tion"). Takes time linear in the length of `text`.
    """
    is_odd = not text.replace("\n", "").isprintable()  # few pages are; the others need none of the slow passes
    if is_odd:
        text = LINE_END.sub("\n", text)
    if not text.isascii():
        if HAS_LIGATURE.search(text):
            text = text.translate(LIGATURES)
        text = unicodedata.normalize("NFC", text)
    if any(sign in text for sign in SIGNS_OF_A_BROKEN_WORD):
        words = set(WORD.findall(text.casefold()))
        text = BROKEN_WORD.sub(lambda broken: _mended(broken, words), text)
    if is_odd:
        text = NOT_TEXT.sub("", text.replace("\x02", "-").replace("\ufffe", "-"))
    if is_odd or "  " in text:
        text = BLANKS.sub(" ", text)
    text = text.replace(" \n", "\n")
    return EMPTY_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _mended(broken: re.Match[str], words: set[str]) -> str:
    start, end = broken.group(1), broken.group(2)
    is_soft = "\u00ad" in broken.group(0)
    return start if is_soft or (start + end).casefold() in words else f"{start}-"
