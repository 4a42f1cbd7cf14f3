"""What is embedded of a chunk: its words under the document's name and title and the heading that it stands under.

What is quoted is the page's own text; what is searched carries its context, since a paragraph alone often does not
say what it is about: a filing's pages do not repeat the company's name and the year, which its file's name has.
"""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from worker.broken_words import whole, with_parts
from worker.retrieval.filename_match import words_of_name
from worker.table_rows import headed


class Context(TypedDict, total=False):
    """What a chunk stands under."""

    title: str
    heading: str
    filename: str
    table_headers: Sequence[str]


def embedded_text(text: str, **context: Unpack[Context]) -> str:
    """The text that the embedding model is given for a chunk: broken words whole, rows under their table's header."""
    return whole(_in_context(text, **context))


def searched_text(text: str, **context: Unpack[Context]) -> str:
    """The text that BM25 is given for a chunk: as above, and the parts of words that may be two."""
    return with_parts(_in_context(text, **context))


def _in_context(
    text: str, *, title: str = "", heading: str = "", filename: str = "", table_headers: Sequence[str] = ()
) -> str:
    name = " ".join(words_of_name(filename))
    known = title.casefold()
    if all(word.casefold() in known for word in name.split()):
        name = ""  # the title says it all
    return "\n".join(part for part in (name, title, heading, headed(text, table_headers)) if part)
