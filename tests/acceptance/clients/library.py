"""The documents that every client asks about, the question, and what stands on which page.

Two sentences answer the question equally well. They stand in two documents, on pages that a search ranks behind
others: the numbers that the model cites are not the ones that a client is told, nor are the pages the first.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from pypdf import PdfReader

from tests.support.pdfs import make_pdf

QUESTION = "Where does the warden keep the spare anchor in winter?"
PADDING = (
    " Paint comes from the mainland on the first ferry of each month, together with flour, lamp oil and "
    "letters. Gulls nest on the northern wall; nobody may climb there before the young have flown. The forge "
    "is lit on Mondays, and whoever needs a hinge, a hook or a nail writes it on the slate. Children learn to "
    "row when they are seven. The chart room has a globe, two telescopes and a barometer that the old pilots "
    "read aloud at breakfast. Guests sleep in the long house, where the stove is, and bring bread."
)
"""So that a page is found by more than its one sentence that matters."""
HELD_QUESTION = "What does the litany of the warden say?"
HELD_WORD = "litany"
QUOTES = (
    ("moorings.pdf", 3, "In winter the warden will keep the spare anchor beneath the chapel stairs."),
    ("handbook.pdf", 2, "The warden keeps each spare anchor in the winter loft above Sørens forge."),
)
"""In which document, on which page: what answers the question."""

DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "handbook.pdf": (
        "Anchors. An anchor is heavy. An anchor is dear. Each anchor has a number. No anchor is lent. The anchor of "
        "a guest is a guest's. Winter ends in March. Winter storms are named. The warden is Ms Lind. The warden has "
        "a dog.",
        QUOTES[1][2] + PADDING,
        "Tides. The tide turns twice a day. A table of tides hangs in the hall.",
    ),
    "moorings.pdf": (
        "Spare parts. A spare oar is long. A spare sail is white. A spare shackle is small. The warden counts every "
        "spare in winter. The anchor is counted last. Keep receipts.",
        "Buoys. Red buoys stand to port. Green buoys stand to starboard.",
        QUOTES[0][2] + PADDING,
        "Fees. A berth costs nine crowns a night.",
    ),
}


def write(folder: Path) -> Path:
    """The documents as PDFs in `folder`."""
    folder.mkdir()
    for name, pages in DOCUMENTS.items():
        make_pdf(folder / name, pages)
    return folder


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, in one line."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(pdf)).pages]
