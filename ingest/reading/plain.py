"""A page's text as parsers give it, made plain."""

import re
import unicodedata

LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
BROKEN = re.compile("(?<=\\w)[\x02\ufffe](?=\\w)|\u00ad\n")
"""Where a word is broken at a line's end: pdfium joins the lines, and has U+0002 (or U+FFFE) for hyphen and break."""
SIGNS_OF_A_BROKEN_WORD = ("\x02", "\ufffe", "\u00ad")
NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\ud800-\udfff\ufeff\uffff]")
BLANKS = re.compile("[ \t\u00a0]{2,}|[\t\u00a0]")
EMPTY_LINES = re.compile("\n{3,}")
LIGATURES = {0xFB00 + n: letters for n, letters in enumerate(("ff", "fi", "fl", "ffi", "ffl", "st", "st"))}
"""Signs for two or three letters, which NFC leaves; nobody types them into a question."""
HAS_LIGATURE = re.compile("[\ufb00-\ufb06]")


def clean(text: str) -> str:
    """The page's own words as plain text: NFC, lines ended by a newline, no control characters, no runs of blanks.

    A word broken at a line's end keeps its hyphen and the break; a soft hyphen elsewhere, which nobody sees, goes.
    Takes time linear in the length of `text`.
    """
    is_odd = not text.replace("\n", "").isprintable()  # few pages are; the others need none of the slow passes
    if is_odd:
        text = LINE_END.sub("\n", text)
    if not text.isascii():
        if HAS_LIGATURE.search(text):
            text = text.translate(LIGATURES)
        text = unicodedata.normalize("NFC", text)
    if is_odd:
        if any(sign in text for sign in SIGNS_OF_A_BROKEN_WORD):
            text = BROKEN.sub("-\n", text)
        text = NOT_TEXT.sub("", text.replace("\x02", "-").replace("\ufffe", "-"))
    if is_odd or "  " in text:
        text = BLANKS.sub(" ", text)
    text = text.replace(" \n", "\n")
    return EMPTY_LINES.sub("\n\n", text) if "\n\n\n" in text else text
