"""A document that is not a PDF, read whole when it is opened."""

from ingest.reading.formats import Kind
from ingest.reading.page import Page
from ingest.reading.reasons import FileError, Reason


class TextDocument:
    """A .docx, .html, .md or .txt in memory. Raises `FileError`."""

    def __init__(self, kind: Kind, data: bytes) -> None:
        from ingest.reading.loaders import load  # LangChain takes a third of a second, and PDFs do without

        try:
            self._loaded = load(kind, data)
        except (FileError, MemoryError):
            raise  # without memory this child ends, and the document with it
        except Exception as error:  # parsers raise nearly anything
            raise FileError(Reason.DAMAGED) from error
        self.page_count = len(self._loaded.pages)

    def close(self) -> None:
        """Nothing is held open."""

    def title(self) -> str:
        """What the document calls itself, or ""."""
        return self._loaded.title

    def page(self, number: int) -> Page:
        """Page `number`, from 0."""
        return self._loaded.pages[number]
