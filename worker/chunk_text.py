"""What is embedded of a chunk: its words under the document's title and the heading that it stands under.

What is quoted is the page's own text; what is searched carries its context, since a paragraph alone often does not
say what it is about.
"""


def embedded_text(text: str, *, title: str = "", heading: str = "") -> str:
    """The text that the embedding model and BM25 are given for a chunk."""
    return "\n".join(part for part in (title, heading, text) if part)
