"""Files that are no documents, told by their names: what programs leave behind, and kinds that are not read."""

from pathlib import PurePath

from ingest.reading.reasons import Reason

LITTER_BEGINNINGS = (
    ".",  # hidden: .DS_Store, ._x of macOS, .~lock.x# of LibreOffice, .x.swp of vim
    "~$",  # Office, while a document is open
    "~wr",  # Word's own copies: ~WRL0001.tmp
)
LOCK_BEGINNINGS = ("~$", ".~lock.")
LITTER_ENDS = ("~", ".swp", ".swo", ".crdownload", ".part")
"""Editors' copies of what was there before, and downloads that have not come to their end."""
LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin"})
"""What Windows and macOS put into folders, and folders of theirs."""

OLD_OFFICE = frozenset({".doc", ".dot", ".xls", ".xlt", ".ppt", ".pps"})
"""Of Office before 2007: binary, and nothing like what came after."""
KIND_CHARACTERS_MAX = 12
"""What is longer than that behind a name's last dot is part of its name."""


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is nobody's own: hidden, or left there by a program."""
    lower = name.lower()
    is_of_emacs = len(lower) > 1 and lower.startswith("#") and lower.endswith("#")
    return is_of_emacs or lower in LITTER or lower.startswith(LITTER_BEGINNINGS) or lower.endswith(LITTER_ENDS)


def is_lock(name: str) -> bool:
    """Whether a program that has a document open keeps such a file beside it."""
    return name.startswith(LOCK_BEGINNINGS)


def kind_of(name: str) -> str:
    """What a name says of a file's kind: its suffix in lower case, ".jpg"; "" when it has none."""
    suffix = PurePath(name).suffix.lower()
    return suffix if len(suffix) <= KIND_CHARACTERS_MAX and suffix[1:].isalnum() else ""


def reason_of_kind(name: str) -> Reason:
    """Why a file whose name is that of no format is not read."""
    return Reason.OLD_OFFICE if kind_of(name) in OLD_OFFICE else Reason.NOT_READ_KIND
