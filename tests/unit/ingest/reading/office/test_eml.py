"""Mails: head, words, and the files that came with them."""

from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import Workbook

from app.core.formats import MediaType
from ingest.reading.loaders import Loaded, load
from ingest.reading.office import eml
from tests.support import pdfs


def _mail(words: str | None = "They sleep in groups.", subject: str = "Otters") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = subject
    mail["From"] = "Ada Example <ada@example.com>"
    mail["To"] = "bob@example.com"
    mail["Date"] = "Mon, 3 Mar 2025 10:00:00 +0000"
    if words is not None:
        mail.set_content(words)
    return mail


def _loaded(mail: EmailMessage) -> Loaded:
    return load(MediaType.EML, bytes(mail))


def test_the_subject_is_the_title_and_the_head_stands_above_the_words() -> None:
    loaded = _loaded(_mail())
    assert loaded.title == "Otters"
    assert (loaded.pages[0].text or "").splitlines() == [
        "Otters",
        "",
        "From: Ada Example <ada@example.com>",
        "To: bob@example.com",
        "Date: Mon, 03 Mar 2025 10:00:00 +0000",
        "",
        "They sleep in groups.",
    ]
    assert loaded.pages[0].headings == ("Otters",)


def test_words_are_decoded_by_what_their_part_says() -> None:
    data = (
        b"Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?4oKs?=\nFrom: =?utf-8?q?Zo=C3=AB?= <z@example.com>\n"
        b"Content-Type: text/plain; charset=windows-1251\nContent-Transfer-Encoding: 8bit\n\n"
        + "Привет".encode("cp1251")
    )
    loaded = load(MediaType.EML, data)
    assert loaded.title == "Grüße€"
    assert "From: Zoë <z@example.com>" in (loaded.pages[0].text or "")
    assert (loaded.pages[0].text or "").endswith("Привет")


@pytest.mark.parametrize("charset", ["unknown-8bit", "no-such-charset", "utf-8"])
def test_words_of_no_known_encoding_are_read_all_the_same(charset: str) -> None:
    head = f"Subject: x\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    assert "Gr" in (load(MediaType.EML, head.encode() + "Grüße".encode("cp1252")).pages[0].text or "")


def test_a_mail_s_words_are_read_once() -> None:
    mail = _mail("They sleep.")
    mail.add_alternative("<html><body><h1>Sleep</h1><p>They sleep.</p></body></html>", subtype="html")
    page = _loaded(mail).pages[0]
    assert (page.text or "").count("They sleep.") == 1
    assert page.headings == ("Otters", "Sleep")


def test_files_that_came_with_it_are_pages_by_their_names(tmp_path: Path) -> None:
    mail = _mail()
    pdf = pdfs.make_pdf(tmp_path / "a.pdf", ["one", "two"]).read_bytes()
    mail.add_attachment(pdf, maintype="application", subtype="pdf", filename="Bericht März.pdf")
    mail.add_attachment(b"jpeg", maintype="image", subtype="jpeg", filename="photo.jpg")
    book = Workbook()
    book.worksheets[0]["A1"] = "in a sheet"
    out = BytesIO()
    book.save(out)
    mail.add_attachment(out.getvalue(), maintype="application", subtype="octet-stream", filename="a.xlsx")
    loaded = _loaded(mail)
    assert [(page.label, page.text) for page in loaded.pages][1:] == [
        ("Bericht März.pdf, 1", "one"),
        ("Bericht März.pdf, 2", "two"),
        ("a.xlsx", "in a sheet"),
    ]
    assert "Attachments: Bericht März.pdf, photo.jpg, a.xlsx" in (loaded.pages[0].text or "")


def test_a_file_that_cannot_be_read_is_a_page_without_words() -> None:
    mail = _mail()
    mail.add_attachment(b"no pdf", maintype="application", subtype="pdf", filename="a.pdf")
    page = _loaded(mail).pages[1]
    assert (page.text, page.label, page.is_damaged) == (None, "a.pdf", True)


def test_a_mail_within_a_mail_is_read_with_its_files() -> None:
    within = _mail("Within.", subject="Re: Otters")
    within.add_attachment("In a file.", filename="note.txt")
    mail = _mail()
    mail.add_attachment(within)
    pages = _loaded(mail).pages
    assert [page.label for page in pages] == ["", "Re: Otters.eml", "note.txt"]
    assert "Within." in (pages[1].text or "")
    assert (pages[2].text or "").strip() == "In a file."


def test_mails_within_mails_come_to_an_end() -> None:
    mail = _mail("the innermost")
    for number in range(eml.DEPTH_MAX + 3):
        outer = _mail(f"number {number}")
        outer.add_attachment(mail)
        mail = outer
    assert len(_loaded(mail).pages) == eml.DEPTH_MAX + 1


def test_of_many_files_the_first_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eml, "FILES_MAX", 3)
    mail = _mail()
    for number in range(5):
        mail.add_attachment(f"words {number}", filename=f"{number}.txt")
    assert [page.label for page in _loaded(mail).pages] == ["", "0.txt", "1.txt", "2.txt"]


def test_the_line_of_a_mailbox_is_no_head() -> None:
    data = b"From ada@example.com Mon Mar  3 10:00:00 2025\nSubject: Otters\n\nwords\n"
    assert load(MediaType.EML, data).title == "Otters"


def test_a_mail_that_is_a_file_and_one_that_is_a_mail_are_read(tmp_path: Path) -> None:
    mail = _mail(None)
    mail.set_content(
        pdfs.make_pdf(tmp_path / "a.pdf", ["words"]).read_bytes(), "application", "pdf", filename="a.pdf"
    )
    assert [page.label for page in _loaded(mail).pages] == ["", "a.pdf"]
    data = b"Subject: Fwd\nContent-Type: message/rfc822\n\nSubject: Within\n\nwords\n"
    assert [page.label for page in load(MediaType.EML, data).pages] == ["", "Within.eml"]


def test_words_within_parts_within_parts_are_read_once() -> None:
    within = EmailMessage()
    within.set_content("as text")
    within.add_alternative("<p>as HTML</p>", subtype="html")
    mail = _mail("Above.")
    mail.make_mixed()
    mail.attach(within)
    text = _loaded(mail).pages[0].text or ""
    assert ("Above." in text, text.count("as HTML"), "as text" in text) == (True, 1, False)


def test_parts_that_are_nowhere_are_one_text() -> None:
    data = b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\nHi there,\n\nmore\n"
    assert "Hi there," in (load(MediaType.EML, data).pages[0].text or "")
