"""OCR, with a stand-in for ocrmypdf that writes a document it was given."""

import hashlib
import sys
from pathlib import Path

import pytest

from app.core.errors import ConfigurationError
from app.core.settings import Settings
from ingest.reading import ocr
from ingest.reading.pool import ReaderPool
from ingest.reading.reasons import FileError, Reason
from tests.support import pdfs


@pytest.fixture
def ocr_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts an `ocrmypdf` on PATH whose answer is this file; while it does not exist, it fails."""
    result, asked, folder = tmp_path / "result.pdf", tmp_path / "asked", tmp_path / "bin"
    folder.mkdir()
    script = (
        f"#!{sys.executable}\nimport shutil, sys\nopen({str(asked)!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        f"shutil.copy({str(result)!r}, sys.argv[-1])\n"
    )
    for command in ("ocrmypdf", "tesseract"):
        (folder / command).write_text(script)
        (folder / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return result


def test_ocr_is_off_by_default() -> None:
    assert Settings().ocr is False


def test_without_its_programs_ocr_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="needs ocrmypdf and tesseract"):
        ReaderPool(1, use_ocr=True)


def test_a_scan_is_read_through_ocr_and_keeps_its_own_hash(ocr_result: Path, tmp_path: Path) -> None:
    scan = pdfs.scanned_pdf(tmp_path / "scan.pdf")
    pdfs.make_pdf(ocr_result, ["What the picture says.", "More."])
    with ReaderPool(1, use_ocr=True) as reader:
        text = reader.read(scan)
        assert text.pages == ("What the picture says.", "More.")
        with_words = pdfs.make_pdf(tmp_path / "words.pdf", ["Words."])
        assert reader.read(with_words).pages == ("Words.",)  # not sent to OCR
    assert text.sha256 == hashlib.sha256(scan.read_bytes()).hexdigest()


def test_when_ocr_fails_the_scan_has_no_text(ocr_result: Path, tmp_path: Path) -> None:
    with ReaderPool(1, use_ocr=True) as reader, pytest.raises(FileError) as caught:
        reader.read(pdfs.scanned_pdf(tmp_path / "scan.pdf"))
    assert caught.value.reason is Reason.NO_TEXT


def test_only_pages_without_words_are_put_through_it_and_these_whatever_they_hold(
    ocr_result: Path, tmp_path: Path
) -> None:
    mixed = pdfs.scan_between_pdf(tmp_path / "mixed.pdf")
    pdfs.make_pdf(ocr_result, ["Words before.", "Of the picture.", "", "Words after."])
    with ReaderPool(1, use_ocr=True) as reader:
        assert reader.read(mixed).pages == ("Words before.", "Of the picture.", "", "Words after.")
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("--pages 2 --force-ocr ")
    assert "--skip-text" not in asked


def test_a_page_of_garbage_is_put_through_it(ocr_result: Path, tmp_path: Path) -> None:
    lines = ["Nothing that a font says of its glyphs is of any use in this place.", "A second line of it."]
    garbage = pdfs.unicode_pdf(tmp_path / "a.pdf", [[chr(ord(letter) - 29) for letter in line] for line in lines])
    pdfs.make_pdf(ocr_result, ["\n".join(lines)])
    with ReaderPool(1, use_ocr=True) as reader:
        assert "A second line" in (reader.read(garbage).pages[0] or "")
    assert "--pages 1 --force-ocr" in (tmp_path / "asked").read_text()


def test_pages_are_named_in_ranges() -> None:
    assert ocr.command("in", "out", ocr.ranges([1, 2, 3, 7, 9, 10]))[:4] == [
        "ocrmypdf",
        "--pages",
        "1-3,7,9-10",
        "--force-ocr",
    ]


def test_what_ocr_makes_of_other_pages_is_not_taken(ocr_result: Path, tmp_path: Path) -> None:
    mixed = pdfs.scan_between_pdf(tmp_path / "mixed.pdf")
    pdfs.make_pdf(ocr_result, ["A cover."])
    with ReaderPool(1, use_ocr=True) as reader:
        assert reader.read(mixed).pages == ("Words before.", None, "", "Words after.")
