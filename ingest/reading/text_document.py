"""A document that is not a PDF, read whole when it is opened."""

from app.core.formats import MediaType
from ingest.reading.page import Page
from ingest.reading.page_look import Seen, Wish
from ingest.reading.reasons import FileError, Reason


class TextDocument:
    """A document of any format but PDF in memory. Raises `FileError`."""

    def __init__(self, media_type: MediaType, data: bytes) -> None:
        from ingest.reading.loaders import load  # LangChain takes a third of a second, and PDFs do without

        try:
            self._loaded = load(media_type, data)
        except (FileError, MemoryError):
            raise  # without memory this child ends, and the document with it
        except Exception as error:  # parsers raise nearly anything
            raise FileError(Reason.DAMAGED) from error
        self.page_count = len(self._loaded.pages)

    def close(self) -> None:
        """No-op: nothing is held open."""

    def title(self) -> str:
        """What the document calls itself, or ""."""
        return self._loaded.title

    def page(self, number: int) -> Page:
        """Page `number`, from 0."""
        return self._loaded.pages[number]

    def see(self, wish: Wish) -> Seen | None:
        """None: there is nothing to be seen but words."""
        return None
