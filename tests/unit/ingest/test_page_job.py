"""The job that looks at a page, called as a worker calls it, on real files in a real store."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.contract import PageResult
from app.core.documents.files import DocumentStore, open_store
from app.core.settings import Settings
from ingest.page_job import open_looking, show_page
from ingest.reading.looker import Looker
from ingest.reading.page_look import Wish
from ingest.reading.pdf.document import PdfDocument
from tests.support import pdfs
from worker.resources import Process, begin, end, shared
from worker.runtime.retries import JobFailedError

QUOTE = "The key hangs behind the third oar."


@pytest.fixture
def store() -> Iterator[DocumentStore]:
    settings = Settings()
    begin(Process(settings))
    yield open_store(settings)
    end()


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> list[Wish]:
    """What the child is asked for."""
    asked: list[Wish] = []
    look = Looker.look

    def noted(self: Looker, path: Path, name: str, wish: Wish) -> Any:
        asked.append(wish)
        return look(self, path, name, wish)

    monkeypatch.setattr(Looker, "look", noted)
    return asked


def payload(store: DocumentStore, path: Path, **about: Any) -> dict[str, Any]:
    sha256, _ = store.put_file("acme", io.BytesIO(path.read_bytes()))
    kept = {"tenant": "acme", "document_id": "d", "sha256": sha256, "filename": path.name}
    return {**kept, "page": 1, "quote": QUOTE, **about}


def boats(folder: Path) -> Path:
    return pdfs.make_pdf(folder / "boats.pdf", [f"{QUOTE} Nobody rows alone after", "the lamps are lit."])


def test_a_page_is_drawn_once_and_looked_at_each_time(
    store: DocumentStore, tmp_path: Path, wishes: list[Wish]
) -> None:
    job = payload(store, boats(tmp_path))
    first, again = (PageResult.model_validate(show_page(job)) for _ in range(2))
    assert first == again
    assert (first.page, first.pages, first.has_picture, len(first.boxes)) == (1, 2, True, 1)
    assert [wish.width_px for wish in wishes] == [900, 0]
    assert store.has_picture("acme", job["sha256"], 1, 900)
    show_page(job | {"width": 1800})
    assert store.has_picture("acme", job["sha256"], 1, 1800)


@pytest.mark.parametrize(("last_page", "runs_over"), [(None, False), (1, False), (2, True), (3, False)])
def test_a_quote_runs_over_to_the_page_after_alone(
    store: DocumentStore, tmp_path: Path, wishes: list[Wish], last_page: int | None, runs_over: bool
) -> None:
    show_page(payload(store, boats(tmp_path), last_page=last_page))
    assert [wish.runs_over for wish in wishes] == [runs_over]


def test_a_page_beyond_the_end_is_nothing_and_says_how_many_there_are(store: DocumentStore, tmp_path: Path) -> None:
    job = payload(store, boats(tmp_path), page=3)
    result = PageResult.model_validate(show_page(job))
    assert (result.page, result.pages, result.has_picture, result.words) == (3, 2, False, "")
    assert not store.has_picture("acme", job["sha256"], 3, 900)


def test_a_page_that_takes_too_long_fails_the_job(store: DocumentStore, tmp_path: Path) -> None:
    shared(open_looking).looker.seconds_max = 2
    with pytest.raises(JobFailedError, match="timeout"):
        show_page(payload(store, pdfs.slow_page_pdf(tmp_path / "a.pdf"), page=2))


def test_a_stored_file_that_was_changed_is_not_shown(store: DocumentStore, tmp_path: Path) -> None:
    """Its picture would be kept under the hash of other bytes."""
    job = payload(store, boats(tmp_path))
    with store.local_path("acme", job["sha256"]) as path:
        pdfs.make_pdf(path, ["Other words."])
    with pytest.raises(JobFailedError, match="changed"):
        show_page(job)
    assert not store.has_picture("acme", job["sha256"], 1, 900)


def test_another_tenants_file_is_not_there(store: DocumentStore, tmp_path: Path) -> None:
    with pytest.raises(JobFailedError, match="unreadable"):
        show_page(payload(store, boats(tmp_path)) | {"tenant": "other"})


@pytest.mark.parametrize(
    "hostile",
    [{"page": 0}, {"page": "x"}, {"width": 5000}, {"sha256": "../../etc/passwd"}, {"tenant": ".."}, {"quote": ""},
     {"quote": "a" * 4001}, {"more": 1}],
    ids=str,
)  # fmt: skip
def test_what_is_no_look_fails(store: DocumentStore, tmp_path: Path, hostile: dict[str, Any]) -> None:
    with pytest.raises(JobFailedError, match="payload_invalid"):
        show_page(payload(store, boats(tmp_path)) | hostile)


def test_what_pdfium_cannot_open_has_words_and_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PdfDocument, "_by_pdfium", lambda _: None)
    document = PdfDocument(boats(tmp_path).read_bytes())
    assert QUOTE in (document.page(0).text or "")
    assert document.see(Wish(0, QUOTE, runs_over=False, width_px=900)) is None
