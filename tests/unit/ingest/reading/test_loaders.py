"""Documents that are not PDFs."""

import zipfile
from pathlib import Path

import pytest

from app.core.formats import MediaType
from ingest.reading.loaders import load
from ingest.reading.reasons import FileError, Reason

WORDPROCESSING = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _docx(path: Path, *paragraphs: str) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for paragraph in paragraphs)
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr(
            "word/document.xml", f'<w:document xmlns:w="{WORDPROCESSING}"><w:body>{body}</w:body></w:document>'
        )
    return path.read_bytes()


def test_markdown_keeps_its_words_and_knows_its_headings() -> None:
    data = b"# Otters\n\nThey sleep.\n\n## Food\n\nFish.\n\n```\n# no heading\n```\n"
    loaded = load(MediaType.MARKDOWN, data)
    (page,) = loaded.pages
    assert page.text == "Otters\n\nThey sleep.\n\nFood\n\nFish.\n\n# no heading\n"
    assert page.headings == ("Otters", "Food")
    assert loaded.title == "Otters"


def test_html_is_read_without_its_markup_scripts_and_styles() -> None:
    data = b"""<html><head><title>The otter</title><style>p {color: red}</style></head><body>
        <h1>Life <b>in</b> water</h1><p>It sl<b>eep</b>s.</p><p>It eats.</p><script>alert("x")</script>
        <table><tr><td>Fish</td><td>3</td></tr><tr><td>Crabs</td><td>4</td></tr></table></body></html>"""
    loaded = load(MediaType.HTML, data)
    (page,) = loaded.pages
    assert page.headings == ("Life in water",)
    lines = [line.strip() for line in (page.text or "").splitlines() if line.strip()]
    assert lines == ["The otter", "Life in water", "It sleeps.", "It eats.", "Fish | 3", "Crabs | 4"]
    assert loaded.title == "The otter"


def test_docx_is_read_by_paragraphs(tmp_path: Path) -> None:
    loaded = load(MediaType.DOCX, _docx(tmp_path / "a.docx", "Otters", "They sleep in groups."))
    assert [page.text for page in loaded.pages] == ["Otters\n\nThey sleep in groups."]


def test_form_feeds_part_the_pages_of_a_text() -> None:
    loaded = load(MediaType.TEXT, b"First page.\fSecond page.")
    assert [page.text for page in loaded.pages] == ["First page.", "Second page."]


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, 東京".encode(),
        b"\xef\xbb\xbf" + "Grüße, 東京".encode(),
        "Grüße, 東京".encode("utf-16"),
        '<meta charset="gb18030">Grüße, 東京'.encode("gb18030"),
    ],
)
def test_the_encoding_is_found(data: bytes) -> None:
    (page,) = load(MediaType.HTML, data).pages
    assert page.text == "Grüße, 東京"


def test_an_old_western_text_is_read() -> None:
    assert load(MediaType.TEXT, "Grüße – “so”".encode("cp1252")).pages[0].text == "Grüße – “so”"  # noqa: RUF001


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(FileError) as caught:
        load(MediaType.TEXT, bytes(range(256)) * 100)
    assert caught.value.reason is Reason.DAMAGED
