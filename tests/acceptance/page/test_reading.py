"""Following a citation in a browser: the page beside the answer, with the quote marked where it stands."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.page.accessible import assert_accessible
from tests.acceptance.page.conftest import QUESTION, QUOTE
from tests.support.browser import Visit


def ask(visit: Visit) -> Page:
    page = visit.page()
    page.get_by_label("Question", exact=True).fill(QUESTION)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    return page


def follow(visit: Visit) -> Page:
    """The answer with its cited page beside it."""
    page = ask(visit)
    page.locator("#sources button", has_text=QUOTE).first.click()
    expect(page.locator("#sheet rect")).to_have_count(1)
    return page


def test_the_quote_is_marked_on_the_pages_picture_and_in_its_words(visit: Visit) -> None:
    page = follow(visit)
    expect(page.locator("#read-page")).to_have_text("page 2 of 3")
    expect(page.locator("#words mark")).to_have_text(QUOTE)
    expect(page.get_by_role("img", name="Page 2 of handbook.pdf, the quote marked")).to_be_visible()
    expect(page.locator("#sheet rect")).to_be_in_viewport()
    expect(page.locator("#read-note")).to_be_empty()
    assert re.search(r"/file#page=2$", page.get_by_role("link", name="Open PDF").get_attribute("href") or "")
    page.wait_for_function("performance.getEntriesByType('resource').some((one) => /2\\.png/.test(one.name))")


def test_the_mark_is_over_the_words_of_the_picture(visit: Visit) -> None:
    """The picture's pixels under the mark have ink, and those a line above and below have none."""
    page = follow(visit)
    ink = page.evaluate(
        """async () => {
          const image = new Image();
          image.src = document.querySelector("#sheet image").getAttribute("href");
          await image.decode();
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const rect = document.querySelector("#sheet rect");
          const at = (name) => Number(rect.getAttribute(name));
          const scale = image.naturalWidth / document.querySelector("#sheet svg").viewBox.baseVal.width;
          const dark = (x, y, w, h) => {
            const { data } = context.getImageData(x * scale, y * scale, w * scale, h * scale);
            let found = 0;
            for (let i = 0; i < data.length; i += 4) if (data[i] < 128) found++;
            return found;
          };
          const [x, y, w, h] = ["x", "y", "width", "height"].map(at);
          return [dark(x, y, w, h), dark(x, y - 2 * h, w, h), dark(x, y + 2 * h, w, h)];
        }"""
    )
    assert ink[0] > 100
    assert ink[1:] == [0, 0]


def test_pages_are_turned_and_only_the_cited_one_is_marked(visit: Visit) -> None:
    page = follow(visit)
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("#read-page")).to_have_text("page 3 of 3")
    expect(page.locator("#sheet rect")).to_have_count(0)
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    expect(page.locator("#words")).to_contain_text("Lost property")
    page.get_by_role("button", name="Previous page").click()
    expect(page.locator("#sheet rect")).to_have_count(1)


def test_zoom_shows_the_larger_picture(visit: Visit) -> None:
    page = follow(visit)
    zoom = page.get_by_role("button", name="Zoom")
    zoom.click()
    expect(zoom).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#sheet image")).to_have_attribute("href", re.compile("width=1800"))
    zoom.click()
    expect(page.locator("#sheet image")).to_have_attribute("href", re.compile("width=900"))


def test_with_the_keys_alone_one_goes_there_and_back(visit: Visit) -> None:
    page = ask(visit)
    source = page.locator("#sources button", has_text=QUOTE).first
    source.press("Enter")
    expect(page.locator("#sheet rect")).to_have_count(1)
    expect(page.locator("#read")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Previous page")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#read")).to_be_hidden()
    expect(source).to_be_focused()
    expect(source).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize(
    ("view", "note"),
    [
        ({"found": False, "boxes": [], "span": None}, "could not be found on this page as it is shown"),
        ({"found": False, "boxes": []}, "it is marked in the words below"),
        ({"next_boxes": [[72, 72, 50, 12]]}, "goes on on the next page"),
    ],
)
def test_what_is_not_marked_is_said(visit: Visit, view: dict[str, object], note: str) -> None:
    page = ask(visit)

    def changed(route: object) -> None:
        answer = route.fetch()  # type: ignore[attr-defined]
        route.fulfill(response=answer, json=answer.json() | view)  # type: ignore[attr-defined]

    page.route(re.compile(r"/pages/2\?"), changed)
    page.locator("#sources button", has_text=QUOTE).first.click()
    expect(page.locator("#read-note")).to_contain_text(note)
    if "next_boxes" in view:
        page.get_by_role("button", name="Next page").click()
        expect(page.locator("#read-page")).to_have_text("page 3 of 3")
        expect(page.locator("#sheet rect")).to_have_count(1)


def test_a_page_that_cannot_be_had_now_is_tried_again(visit: Visit) -> None:
    visit.refusals_expected = True
    page = ask(visit)
    pending = {"type": "urn:problem:page-pending", "status": 503, "detail": "The page is still being drawn."}
    page.route(re.compile(r"/pages/2\?"), lambda route: route.fulfill(status=503, json=pending))
    page.locator("#sources button", has_text=QUOTE).first.click()
    expect(page.locator("#read-note")).to_have_text("The page is still being drawn.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#sheet rect")).to_have_count(1)
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_document_of_words_alone_shows_the_passage(visit: Visit) -> None:
    page = ask(visit)
    told = {
        "page": 2, "pages": 3, "page_label": "", "version": "0" * 64, "width": 0, "height": 0, "picture": None,
        "found": True, "boxes": [], "next_boxes": [], "words": f"\U0001f600 <b>Care</b>\n{QUOTE} More.",
        "span": [14, 14 + len(QUOTE)],
    }  # fmt: skip
    page.route(re.compile(r"/pages/2\?"), lambda route: route.fulfill(json=told))
    page.locator("#sources button", has_text=QUOTE).first.click()
    expect(page.locator("#words mark")).to_have_text(QUOTE)
    expect(page.locator("#words")).to_contain_text("<b>Care</b>")
    expect(page.get_by_role("button", name="Zoom")).to_be_hidden()
    expect(page.get_by_role("link", name="Open file")).to_be_visible()


def test_nobody_who_reads_with_other_senses_stumbles(visit: Visit) -> None:
    page = follow(visit)
    for _ in range(2):
        assert_accessible(page)
        page.get_by_role("button", name="Zoom").click()
