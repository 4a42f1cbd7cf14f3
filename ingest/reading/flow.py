"""Text put together from the pieces of a document: lines, blocks apart by an empty line, marks before them."""

TAIL_CHARACTERS = 200
"""Of the line that is being written, as much is known."""


class Flow:
    """Takes words, ends of lines and of blocks in their order. Breaks come only between words, and never twice."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0
        self._prefix = ""
        self._tail = ""
        self._has_blank = False
        """Whether a blank is to come before the next words of the line."""

    def words(self, words: str) -> None:
        """Words whose runs of blanks are single ones already; those at a line's begin and end are dropped."""
        bare = words.strip(" ")
        if words[:1] == " " or not bare:
            self._has_blank = self._has_blank or bool(words)
        if bare:
            self.exactly(f" {bare}" if self._has_blank and self.tail else bare)
            self._has_blank = words[-1:] == " "

    def join(self, words: str) -> None:
        """Words directly behind the last ones, whatever blank was between."""
        self._has_blank = False
        self.words(words)

    def exactly(self, words: str) -> None:
        """Words with all their blanks."""
        begins = "\n" * self._breaks if self._parts and self._parts[-1] != "\f" else ""
        if self._breaks or self._prefix:
            words = begins + self._prefix + words
            self._prefix, self._breaks = "", 0
        self._has_blank = False
        self._parts.append(words)
        self._tail = (self._tail + words)[-TAIL_CHARACTERS:].rpartition("\n")[2]

    def line(self) -> None:
        """The next words stand on a line of their own."""
        self._breaks = max(self._breaks, 1)

    def block(self) -> None:
        """The next words stand apart, below an empty line."""
        self._breaks = 2

    def page(self) -> None:
        """The next words stand on the next page."""
        self._breaks = 0
        self._has_blank = False
        self._parts.append("\f")
        self._tail = ""

    @property
    def is_at_page_begin(self) -> bool:
        """Whether no words stand on the page yet, and it is not the first one."""
        return bool(self._parts) and self._parts[-1] == "\f"

    def begin(self, prefix: str) -> None:
        """Before the next words stands `prefix`, a list's number."""
        self._prefix += prefix

    def mark(self, mark: str) -> None:
        """Before the line of the next words stands `mark`."""
        self._prefix = mark + self._prefix

    def drop_prefix(self) -> None:
        """What was to stand before words that did not come."""
        self._prefix = ""

    @property
    def tail(self) -> str:
        """The end of the line that is being written, "" when the next words begin one."""
        return "" if self._breaks else f"{self._tail} " if self._has_blank and self._tail else self._tail

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)
