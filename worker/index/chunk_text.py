"""What is embedded of a chunk: its words under the document's name and title and the heading that it stands under.

What is quoted is the page's own text; what is searched carries its context, since a paragraph alone often does not
say what it is about: a filing's pages do not repeat the company's name and the year, which its file's name has.
"""

from worker.retrieval.filename_match import words_of_name


def embedded_text(text: str, *, title: str = "", heading: str = "", filename: str = "") -> str:
    """The text that the embedding model and BM25 are given for a chunk."""
    name = " ".join(words_of_name(filename))
    known = title.casefold()
    if all(word.casefold() in known for word in name.split()):
        name = ""  # the title says it all
    return "\n".join(part for part in (name, title, heading, text) if part)
