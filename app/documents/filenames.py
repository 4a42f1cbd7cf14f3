"""File names as clients send them: what is shown of one, and what its bytes say."""

import re
import unicodedata

FILENAME_CHARACTERS_MAX = 255
JOINERS = "\u200c\u200d"
"""Format characters that names in Persian, Hindi and others are spelled with."""


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
    """What browsers send is UTF-8; anything else still has some name."""
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return sent.decode("latin-1")
