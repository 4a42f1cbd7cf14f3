"""Why a file was not, or not wholly, indexed: a closed code and one public sentence for each."""

from enum import StrEnum

from app.core.formats import LABELS, SIGNS


class Reason(StrEnum):
    """Why a file failed or was passed over. Clients of `--json` may switch on it."""

    NOT_A_PDF = "not_a_pdf"
    EMPTY_FILE = "empty_file"
    ENCRYPTED = "encrypted"
    DAMAGED = "damaged"
    UNKNOWN_ENCODING = "unknown_encoding"
    NO_TEXT = "no_text"
    PORTFOLIO = "portfolio"
    XFA_FORM = "xfa_form"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    SAME_NAME = "same_name"
    NOT_READ_KIND = "not_read_kind"
    OLD_OFFICE = "old_office"
    NOT_A_FILE = "not_a_file"
    LINKED_FOLDER = "linked_folder"
    OUTSIDE_FOLDER = "outside_folder"


SENTENCES: dict[Reason, str] = {
    Reason.NOT_A_PDF: f"This is not what its name says: {SIGNS}.",
    Reason.EMPTY_FILE: "The file is empty.",
    Reason.ENCRYPTED: "The file asks for a password, or is protected against copying. Save it without.",
    Reason.DAMAGED: "The file is damaged: none of its pages can be read.",
    Reason.UNKNOWN_ENCODING: "The encoding of its characters cannot be told for sure. Save it as UTF-8.",
    Reason.NO_TEXT: "There is no text in it; it may be a scan. Set OCR=true, or put it through OCR first (ocrmypdf).",
    Reason.PORTFOLIO: (
        "This PDF is the cover of files attached to it (a portfolio), and none of these can be read. Save them apart."
    ),
    Reason.XFA_FORM: (
        "The form in this PDF is an XFA form, which only Adobe's programs show; its page says no more than to wait. "
        "Open it there and print it to a PDF."
    ),
    Reason.TOO_LARGE: "The file is larger than what is read (256 MiB, 20,000 pages, 20 million characters).",
    Reason.TIMEOUT: "Reading it took too long: 15 seconds for a page, or 20 seconds and a tenth more for each page.",
    Reason.CRASHED: "The file brought its reader down, or wanted more than 1 GiB of memory.",
    Reason.UNREADABLE: "The file cannot be opened: no permission, gone, or a link in a circle.",
    Reason.CHANGED: "The file changed while it was read. Run again.",
    Reason.SAME_NAME: "Another file of this run has the same name within its folder. Rename one of them.",
    Reason.NOT_READ_KIND: f"It is no {LABELS}, and other kinds are not read.",
    Reason.OLD_OFFICE: "This is a file of an Office before 2007. Save it as .docx, .xlsx or .pptx, or as a PDF.",
    Reason.NOT_A_FILE: "This is no regular file but a folder, pipe, socket or device.",
    Reason.LINKED_FOLDER: "Links to folders are not followed. Give the folder itself as an argument.",
    Reason.OUTSIDE_FOLDER: (
        "This is a link to what lies outside the folder, or is hidden in it. INGEST_FOLLOW_LINKS=true follows it."
    ),
}


class FileError(Exception):
    """A file cannot be indexed, for `reason`. Concerns that file only; the next one goes on."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"{reason.value}: {SENTENCES[reason]}")
        self.reason = reason
