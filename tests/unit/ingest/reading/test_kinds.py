"""Names of files that are no documents."""

import pytest

from app.core.formats import SUFFIXES
from ingest.reading.kinds import KIND_CHARACTERS_MAX, OLD_OFFICE, is_litter, kind_of, reason_of_kind
from ingest.reading.reasons import Reason

LITTER = (
    *("~$report.docx", "~$k16_word_lock_file.docx", "~WRL0001.tmp", ".~lock.report.odt#", ".DS_Store", "._a.pdf"),
    *(
        "Thumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "Icon\r",
        "notes.txt~",
        ".notes.md.swp",
        "notes.md.swo",
        "#notes.txt#",
    ),
    *("__MACOSX", "$RECYCLE.BIN", ".git", ".hidden.pdf", "film.mp4.part", "a.pdf.crdownload"),
)
OWN = (
    "a.pdf",
    "~a.pdf",
    "a~b.txt",
    "#1.txt",
    "$a.pdf",
    "Thumbs.pdf",
    "old.doc",
    "noname",
    "archive.tar.gz",
    "a.",
    "#",
)


@pytest.mark.parametrize("name", LITTER)
def test_what_programs_leave_behind_is_litter(name: str) -> None:
    assert is_litter(name)


@pytest.mark.parametrize("name", OWN)
def test_what_people_name_is_not(name: str) -> None:
    assert not is_litter(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.JPG", ".jpg"),
        ("a.tar.gz", ".gz"),
        ("a", ""),
        ("a.", ""),
        ("Mr. Smith", ""),
        (f"a.{'x' * KIND_CHARACTERS_MAX}", ""),
    ],
)
def test_a_kind_is_a_short_suffix(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("suffix", sorted(OLD_OFFICE))
def test_a_file_of_an_old_office_is_told_what_to_do(suffix: str) -> None:
    assert reason_of_kind(f"a{suffix.upper()}") is Reason.OLD_OFFICE
    assert suffix not in SUFFIXES


def test_any_other_kind_is_not_read() -> None:
    assert {reason_of_kind(name) for name in ("a.jpg", "a", "a.zip")} == {Reason.NOT_READ_KIND}
