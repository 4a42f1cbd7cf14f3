"""File names as clients send them, in each of the ways they have for what is not ASCII, and what is shown of one.

RFC 7578 wants plain UTF-8, which browsers, curl and httpx send. .NET sends `filename*` (RFC 8187) beside encoded
words (RFC 2047), older requests `filename*` alone, aiohttp percent-encodes, and some send Latin-1.
"""

import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

FILENAME_CHARACTERS_MAX = 255
JOINERS = "\u200c\u200d"
"""Format characters that names in Persian, Hindi and others are spelled with."""
PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;"]*)')
"""Of a header: what stands between quotes is no parameter."""
ENCODED_WORDS = re.compile(r"(?:=\?[\w-]+\?[BbQq]\?[^?\s]*\?=\s*)+")
CHARSETS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252"})
"""Those that clients name. Python has many more codecs, some of which are none of text, or slow."""


def sent_filename(disposition: bytes | None) -> str | None:
    """The file name in a part's Content-Disposition, decoded; None when it has none, and the part is no file.

    `filename*` goes before `filename`, as in RFC 6266; what can't be decoded is taken as it stands.
    """
    _, options = parse_options_header(disposition)  # leaves out `filename*`
    parameters = PARAMETER.findall(disposition or b"")
    extended = [_extended(value) for name, value in parameters if name.lower() == b"filename*"]
    if name := next(filter(None, extended), None):
        return name
    if b"filename" not in options:
        return "" if extended else None
    plain = as_text(options[b"filename"])
    return _of_encoded_words(plain) or _of_escapes(plain) or plain


def shown_filename(sent: str) -> str | None:
    """What of a client's file name may be stored and shown: no path, nothing invisible, nothing that reorders text.

    None when nothing is left, or too much: a name cut short could be another document's.
    """
    last = re.split(r"[/\\]", sent)[-1]
    visible = "".join(character for character in last if _is_visible(character))
    name = " ".join(unicodedata.normalize("NFC", visible).split())
    return name if name.strip(".") and len(name) <= FILENAME_CHARACTERS_MAX else None


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    return character in JOINERS or category == "Zs" or category[0] not in "CZ" or category == "Cn"


def as_text(sent: bytes) -> str:
    """What browsers send is UTF-8, and what else Windows sends is its own; anything still has some name."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return sent.decode(encoding)
        except UnicodeDecodeError:
            continue
    return sent.decode("latin-1")


def _extended(value: bytes) -> str | None:
    """What is meant by a value as in `utf-8''Pr%C3%BCfung.pdf`."""
    charset, _, rest = value.strip(b' \t"').partition(b"'")
    _, quote, escaped = rest.partition(b"'")
    return _decoded(unquote_to_bytes(escaped), as_text(charset)) if quote else None


def _of_encoded_words(text: str) -> str | None:
    """What is meant by `=?utf-8?B?UHLDvGZ1bmcucGRm?=`, when all of the name is of this kind."""
    if not ENCODED_WORDS.fullmatch(text):
        return None
    try:
        words = decode_header(text)
    except HeaderParseError:
        return None
    decoded = [_decoded(word, charset or "") for word, charset in words]
    return None if None in decoded else "".join(word or "" for word in decoded)


def _of_escapes(text: str) -> str | None:
    """What is meant by `Pr%C3%BCfung.pdf`. A name whose escapes are all ASCII, "a%20b.pdf", may be the file's own."""
    name = _decoded(unquote_to_bytes(text), "utf-8") if "%" in text else None
    return None if name is None or name.isascii() or not text.isascii() else name


def _decoded(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset) if charset.lower() in CHARSETS else None
    except UnicodeDecodeError:
        return None
