"""Definitions of terms as lines of "term: meaning"."""

from dataclasses import dataclass, field

from ingest.reading.flow import Flow


@dataclass(slots=True)
class Definitions:
    """Terms, and what was said of them so far."""

    terms: list[str] = field(default_factory=list)
    meanings: list[str] = field(default_factory=list)

    def write(self, flow: Flow) -> None:
        """Write and forget what was read: on one line where terms and meanings are no more than that."""
        term = ", ".join(" ".join(term.split()).rstrip(":") for term in self.terms if term.strip())
        meanings = [meaning.strip(" ") for meaning in self.meanings if meaning.strip()]
        is_line = not any("\n" in meaning for meaning in meanings)
        flow.line()
        if term:
            flow.words(f"{term}: " if meanings and is_line else f"{term}:" if meanings else term)
        if meanings and not is_line:
            flow.line()
        flow.words(("; " if is_line else "\n").join(meanings))
        flow.line()
        self.terms.clear()
        self.meanings.clear()
