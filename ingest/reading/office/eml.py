"""A mail: its head and its words on the first page, and then the pages of the files that came with it.

Where it has its words twice, those are read that a mail program shows: the page of HTML, and plain text without one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from itertools import islice

from app.core.formats import MediaType, by_name
from ingest.reading.office.lazy import LazyPages
from ingest.reading.office.page_writer import PageWriter, label_of, one_line
from ingest.reading.page import Page
from ingest.reading.reasons import FileError, Reason

DEPTH_MAX = 3
"""Mails within mails."""
FILES_MAX = 50
"""Of those that came with a mail; the others are named on its page, as those of other kinds are."""
HEAD = ("From", "To", "Cc", "Date")
"""Lines of a mail's head that mail programs show, beside its subject."""
HEAD_CHARACTERS_MAX = 2_000
"""Of one of them: a mail may go to thousands."""
HEAD_BYTES_CHECKED = 4096
"""A mail begins with lines of text; nothing else tells it from what is none."""
SHOWN = ("text/html", "text/plain")
"""Of the ways in which a mail has the same words, those that are known, the better one first."""
Choices = Sequence[Sequence[EmailMessage]]
"""The same words in several ways, the better one first: each is parts of a mail, nearly always one."""
MAIL = "message/rfc822"
NO_NAME = "message.eml"
"""What a mail within a mail is called that has no subject."""


@dataclass(frozen=True, slots=True)
class Readers:
    """How the parts of a mail are read: a page of HTML, and a file by its name. Both may raise nearly anything."""

    html: Callable[[bytes], tuple[Page, str]]
    file: Callable[[str, bytes], Sequence[Page]]


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that came with a mail. `name` says what it is."""

    name: str
    part: EmailMessage

    def data(self) -> bytes:
        """Its bytes."""
        if self.part.get_content_type() == MAIL:
            return bytes(self.part.get_content())
        content = self.part.get_payload(decode=True)
        return content if isinstance(content, bytes) else b""


def read(data: bytes, readers: Readers, depth: int = 0) -> tuple[Sequence[Page], str]:
    """The pages, and the subject. Raises nearly anything."""
    message = _parsed(data)
    first = partial(_first_page, message, readers)
    pages: list[Callable[[], Page]] = [first]
    if depth < DEPTH_MAX:
        readable = (one for one in _attached(message) if by_name(one.name) is not None)
        for attached in islice(readable, FILES_MAX):
            pages += _pages_of(attached, readers, depth)
    return LazyPages(pages), _line(message, "Subject")


def _parsed(data: bytes) -> EmailMessage:
    if data.startswith(b"From "):  # a line of the mailbox that it stood in
        data = data.partition(b"\n")[2]
    if b"\0" in data[:HEAD_BYTES_CHECKED]:
        raise FileError(Reason.DAMAGED)
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _pages_of(attached: Attached, readers: Readers, depth: int) -> list[Callable[[], Page]]:
    """The pages of a file, called by its name; one without words when it cannot be read."""
    row = by_name(attached.name)
    is_mail = row is not None and row.media_type is MediaType.EML
    try:
        if is_mail:
            pages, _ = read(attached.data(), readers, depth + 1)
        else:
            pages = readers.file(attached.name, attached.data())
    except MemoryError:
        raise
    except Exception:
        return [partial(Page, None, label=label_of(attached.name), is_damaged=True)]
    return [partial(_called, attached.name, pages, number, is_mail=is_mail) for number in range(len(pages))]


def _called(name: str, pages: Sequence[Page], number: int, *, is_mail: bool) -> Page:
    """A page by the name of its file, and by its own when there are several; those of a mail within have names."""
    page = pages[number]
    if is_mail:
        return replace(page, label=page.label or label_of(name))
    own = page.label or str(number + 1)
    return replace(page, label=label_of(f"{name}, {own}" if len(pages) > 1 else name))


def _first_page(message: EmailMessage, readers: Readers) -> Page:
    writer = PageWriter()
    writer.heading(_line(message, "Subject"))
    for name in HEAD:
        if words := _line(message, name):
            writer.text(f"{name}: {words}")
    if names := [attached.name for attached in _attached(message)]:
        writer.text(f"Attachments: {', '.join(names)[:HEAD_CHARACTERS_MAX]}")
    writer.gap()
    for choices in _leaves(message):
        _write_one(choices, writer, readers)
    return writer.page()


def _write_one(choices: Choices, writer: PageWriter, readers: Readers) -> None:
    """Write the best of the choices that has words."""
    for parts in choices:
        if sum([_write(part, writer, readers) for part in parts if not _name(part)]):
            return


def _write(body: EmailMessage, writer: PageWriter, readers: Readers) -> bool:
    """Write a part's words; whether it has any."""
    if body.get_content_maintype() not in ("text", "multipart"):
        return False
    words = _words(body)
    if body.get_content_type() == "text/html":
        page, _ = readers.html(b"\xef\xbb\xbf" + words.encode("utf-8", "replace"))
        words = page.text or ""
        writer.add(page)
    else:
        writer.text(words)
    writer.gap()
    return bool(words.strip())


def _attached(message: EmailMessage) -> Iterator[Attached]:
    parts = (part for choices in _leaves(message) for parts in choices for part in parts)
    return (Attached(name, part) for part in parts if (name := _name(part)))


def _leaves(part: EmailMessage) -> Iterator[Choices]:
    """What a mail is made of, in its order: its own words, in the ways that there are to say them, and files."""
    children = list(part.iter_parts()) if part.get_content_maintype() == "multipart" and part.is_multipart() else []
    within = [choices for child in children if isinstance(child, EmailMessage) for choices in _leaves(child)]
    if not children:
        yield ((part,),)
    elif part.get_content_subtype() != "alternative":
        yield from within
    else:
        leaves = [leaf for choices in within for parts in choices for leaf in parts]
        yield tuple(
            [leaf for leaf in leaves if leaf.get_content_type() == kind and not _name(leaf)] for kind in SHOWN
        )
        yield from (((leaf,),) for leaf in leaves if _name(leaf))


def _name(part: EmailMessage) -> str:
    """What a file that came with the mail is called, "" for words that are the mail's own."""
    name = one_line(part.get_filename() or "").replace("/", "_")
    if not name and part.get_content_type() == MAIL:
        within = part.get_content()
        subject = _line(within, "Subject") if isinstance(within, EmailMessage) else ""
        return f"{subject}.eml" if subject else NO_NAME
    return name


def _words(part: EmailMessage) -> str:
    """A part's text, in whatever encoding it says or, if it says none that there is, in UTF-8 or Windows-1252."""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError, ValueError):
        content = part.get_payload(decode=True)
        data = content if isinstance(content, bytes) else b""
    try:
        return data.decode()
    except UnicodeError:
        return data.decode("cp1252", "replace")


def _line(message: EmailMessage, name: str) -> str:
    """A line of the head, its words decoded; of several of a name the first. Malformed ones count as they stand."""
    try:
        return one_line(str(message.get(name) or ""))[:HEAD_CHARACTERS_MAX]
    except (LookupError, UnicodeError, ValueError, AttributeError, TypeError, IndexError):
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return one_line(str(raw))[:HEAD_CHARACTERS_MAX]
