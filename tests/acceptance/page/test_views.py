"""What each view looks like: no violation of axe's rules, nothing wider than the window, and a picture to look at.

SCREENSHOTS=folder python -m pytest tests/acceptance/page/test_views.py    writes the pictures there
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.auth.api_keys import make_key
from app.auth.principals import Role
from tests.acceptance.conftest import Running, start
from tests.acceptance.page.accessible import assert_accessible
from tests.support import ROOT
from tests.support.browser import Visit, visiting

QUESTION = "On how many nights was aurora seen in 2025?"
ANSWER = "117 nights"
SIZES = {360: 740, 800: 1000, 1440: 900}
"""Widths of a telephone, a tablet and a desk, each with its height."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True)
class Place:
    """A service with the documents of `data/`, a key of its, and an answer that it has."""

    running: Running
    key: str
    answered: str


@pytest.fixture(scope="module")
def place(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    key, entry = make_key(name="test", tenant="default", role=Role.ADMIN, rate=None)
    running = start(tmp_path_factory.mktemp("views"), "--ingest", str(ROOT / "data"), API_KEYS=str(entry))
    headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=30"}
    asked = httpx.post(f"{running.services.http_url}/chat", json={"query": QUESTION}, headers=headers, timeout=40)
    yield Place(running, key, str(asked.json()["job_id"]))
    assert running.stop() == 0, running.log.read_text()


def empty(visit: Visit, place: Place) -> Page:
    page = visit.page()
    expect(page.get_by_role("list", name="Questions to try").get_by_role("button")).to_have_count(3)
    return page


def choosing(visit: Visit, place: Place) -> Page:
    page = empty(visit, place)
    page.locator("#scope").click()
    page.get_by_role("checkbox").first.check()
    expect(page.get_by_role("dialog", name="What to ask")).to_contain_text("1 of 4 chosen")
    return page


def answered(visit: Visit, place: Place) -> Page:
    page = visit.page(f"/?job={place.answered}")
    expect(page.locator("#answer")).to_contain_text(ANSWER)
    expect(page.locator("#sources li").first).to_be_visible()
    return page


def talking(visit: Visit, place: Place) -> Page:
    """On the second answer of a conversation, of which somebody says what was wrong."""
    page = visit.page()
    for question in (QUESTION, "And in 2024?"):
        page.get_by_label("Question", exact=True).fill(question)
        page.get_by_label("Question", exact=True).press("Enter")
        expect(page.get_by_role("heading", name=question)).to_be_visible()
        expect(page.locator("#stage")).to_contain_text("Answered")
    page.get_by_role("button", name="Bad answer").click()
    expect(page.locator("#rated")).to_have_text("Thank you.")
    expect(page.locator("#understood")).to_be_visible()
    expect(page.locator("#turns details")).to_have_count(1)
    return page


def conversations(visit: Visit, place: Place) -> Page:
    page = talking(visit, place)
    page.get_by_role("button", name="Not now").click()
    page.locator("#turns summary").click()
    page.locator("#conversations summary").click()
    expect(page.locator("#conversation-list li").first).to_be_visible()
    return page


def reading(visit: Visit, place: Place) -> Page:
    page = answered(visit, place)
    page.locator("#answer .cite").first.click()
    expect(page.locator("#sheet rect").first).to_be_visible(timeout=20_000)
    return page


def documents(visit: Visit, place: Place) -> Page:
    page = visit.page("/page/documents")
    expect(page.locator("#rows tr")).to_have_count(4)
    return page


def watching(visit: Visit, place: Place) -> Page:
    page = visit.page("/page/watch")
    expect(page.locator("#workers tr").first).to_be_visible()
    return page


def timeline(visit: Visit, place: Place) -> Page:
    page = visit.page(f"/page/jobs/{place.answered}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("main")).to_contain_text("started")
    return page


def nothing(visit: Visit, place: Place) -> Page:
    page = visit.page()
    page.get_by_label("Question", exact=True).fill("zork blorf")
    page.get_by_label("Question", exact=True).press("Enter")
    expect(page.locator("#note")).to_contain_text("No passage proves an answer")
    page.locator("#earlier summary").click()
    return page


def gone(visit: Visit, place: Place) -> Page:
    page = visit.page("/?job=nobody")
    expect(page.locator("#note")).to_contain_text("it has expired")
    return page


def signing_in(visit: Visit, place: Place) -> Page:
    visit.context.clear_cookies()
    page = visit.page()
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    return page


VIEWS: dict[str, Callable[[Visit, Place], Page]] = {
    "ask-empty": empty,
    "ask-choosing": choosing,
    "ask-answered": answered,
    "ask-talking": talking,
    "ask-conversations": conversations,
    "ask-reading": reading,
    "ask-nothing": nothing,
    "ask-gone": gone,
    "signing-in": signing_in,
    "documents": documents,
    "watch": watching,
    "watch-job": timeline,
}
"""Each state that a view can be in, as a function which brings a page there."""


@pytest.fixture
def visit(browser: Browser, place: Place, width: int) -> Iterator[Visit]:
    """Somebody who is signed in."""
    url = place.running.services.http_url
    with visiting(browser, url, width=width, height=SIZES[width], refusals_expected=True) as somebody:
        assert somebody.context.request.post(f"{url}/session", data={"key": place.key}).ok
        yield somebody


def save(page: Page, name: str) -> None:
    """Where somebody wants to look at it."""
    if chosen := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(chosen) / f"{name}.png")


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_can_be_read_by_everyone_and_fits(visit: Visit, place: Place, view: str, width: int) -> None:
    page = VIEWS[view](visit, place)
    assert page.evaluate(OVERFLOW) == 0
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        save(page, f"{view}-{width}-{scheme}")
        assert_accessible(page)


@pytest.mark.parametrize("width", [1440])
def test_a_question_to_try_leads_to_the_sentence_that_proves_it(visit: Visit, place: Place) -> None:
    page = empty(visit, place)
    page.get_by_role("button", name=QUESTION).click()
    expect(page.locator("#answer")).to_contain_text(ANSWER)
    expect(page.get_by_role("heading", name=QUESTION)).to_be_focused()
    page.get_by_role("button", name="Source 1").click()
    expect(page.locator("#sheet rect")).to_have_count(1)
    expect(page.locator("#words mark")).to_contain_text(ANSWER)
