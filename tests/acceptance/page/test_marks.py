"""A mark in the browser is where the PDF's sentence was written to, whatever its page is like."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.conftest import Running, start
from tests.acceptance.page.asking import ask
from tests.support.browser import visiting
from tests.support.model_server import ModelServer
from tests.unit.ingest.reading.pdf.test_quote_boxes import HIGH, SIZE, WIDE, width_of, written

X, Y = 120.0, 300.0
"""Where the sentence's baseline begins, in points from the page's upper left corner."""
ASCENT, DESCENT = 0.72 * SIZE, 0.21 * SIZE
"""Of Helvetica's letters."""
NEAR = 4.0
"""Points: a box has some air around its letters."""
CROP_LEFT, CROP_TOP = 50.0, 60.0
LINE = 14.0
SENTENCE = "The blue oar of the harbour weighs three kilograms."
HALVES = ("The blue oar of the harbour", "weighs three kilograms.")
QUESTION = "What does the blue oar weigh?"

Box = tuple[float, float, float, float]
"""Left, top, width and height."""


@dataclass(frozen=True)
class Case:
    """A page as it is made, and where the sentence's lines are shown on it."""

    make: Callable[[], Any]
    boxes: tuple[Box, ...]


def line(x: float, baseline: float, text: str) -> Box:
    return x, baseline - ASCENT, width_of(text), ASCENT + DESCENT


def cropped() -> Any:
    page = written((X, Y, SENTENCE))
    page.set_cropbox(CROP_LEFT, 40, WIDE - 100, HIGH - CROP_TOP)
    return page


def turned() -> Any:
    page = written((X, Y, SENTENCE))
    page.set_rotation(90)
    return page


def quarter_turned(box: Box) -> Box:
    left, top, width, height = box
    return HIGH - top - height, left, height, width


CASES: Mapping[str, Case] = {
    "plain": Case(lambda: written((X, Y, SENTENCE)), (line(X, Y, SENTENCE),)),
    "turned": Case(turned, (quarter_turned(line(X, Y, SENTENCE)),)),
    "cropped": Case(cropped, (line(X - CROP_LEFT, Y - CROP_TOP, SENTENCE),)),
    "two-lines": Case(
        lambda: written((X, Y, HALVES[0]), (X, Y + LINE, HALVES[1])),
        (line(X, Y, HALVES[0]), line(X, Y + LINE, HALVES[1])),
    ),
}


@pytest.fixture(scope="module")
def shelf(browser: Browser, model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a document for each case."""
    folder = tmp_path_factory.mktemp("marks")
    pdfs = folder / "pdfs"
    pdfs.mkdir()
    for name, case in CASES.items():
        page = case.make()
        page.gen_content()
        page.pdf.save(str(pdfs / f"{name}.pdf"))
    started = start(folder, "--ingest", str(pdfs), OPENAI_API_KEY="x", OPENAI_BASE_URL=model.url, CHAT_MODEL="test")
    yield started
    assert started.stop() == 0, started.log.read_text()


SHOWN = """() => {
    const svg = document.querySelector("#sheet svg");
    const page = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / page.width;
    return [...svg.querySelectorAll("rect")].map((rect) => {
        const { left, top, width, height } = rect.getBoundingClientRect();
        return [left - page.left, top - page.top, width, height].map((pixels) => pixels * scale);
    });
}"""


def document_id(shelf: Running, name: str) -> str:
    with shelf.client() as client:
        documents = client.get("/documents").raise_for_status().json()["documents"]
    return next(str(one["document_id"]) for one in documents if one["filename"] == f"{name}.pdf")


def shown_boxes(page: Page) -> list[Box]:
    """Where the marks are on the screen, in points of the page."""
    return [(x, y, w, h) for x, y, w, h in page.evaluate(SHOWN)]


def test_who_asks_before_the_page_knows_what_was_chosen_asks_that(browser: Browser, shelf: Running) -> None:
    with visiting(browser, shelf.services.http_url) as visit:
        held: list[Route] = []
        page = visit.page("/healthz")
        page.route("**/documents?*", lambda route: held.append(route), times=1)
        with page.expect_request("**/documents?*"):
            page.goto(f"{shelf.services.http_url}/?document={document_id(shelf, 'plain')}")
        ask(page, QUESTION)
        held[0].continue_()
        expect(page.locator(".cite").first).to_be_visible()
        expect(page.locator(".cite").first).to_have_attribute("title", re.compile("plain"))


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", CASES)
def test_the_mark_is_where_the_sentence_was_written_to(
    browser: Browser, shelf: Running, name: str, width: int, tmp_path: Path
) -> None:
    with visiting(browser, shelf.services.http_url, width=width) as visit:
        page = visit.page(f"/?document={document_id(shelf, name)}")
        ask(page, QUESTION)
        page.locator(".cite").first.click()
        expect(page.locator("#sheet rect")).to_have_count(len(CASES[name].boxes))
        for found, written_to in zip(shown_boxes(page), CASES[name].boxes, strict=True):
            assert found == pytest.approx(written_to, abs=NEAR), page.screenshot(path=tmp_path / "page.png")
