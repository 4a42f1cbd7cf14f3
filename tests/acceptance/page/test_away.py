"""The page while the service, its Valkey or its model is away, and when they are back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.conftest import Running, start
from tests.acceptance.page.asking import REMEMBER_PLAIN, answer_of, ask, asked_elsewhere, words_of, written
from tests.acceptance.page.conftest import PAGES, QUESTION, QUOTE, Site
from tests.support.browser import Visit, visiting
from tests.support.processes import hold, wait_until

NOBODY = "http://127.0.0.1:9/v1"
"""A model's address at which there is none."""
KEY_HEADER = "idempotency-key"
BACK_MS = 30_000
"""Far more than a service takes to start, and to take a job up again."""


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    with visiting(browser, site.url, refusals_expected=True) as somebody:
        somebody.context.add_init_script(REMEMBER_PLAIN)
        yield somebody


def begun(page: Page) -> None:
    ask(page, QUESTION)
    expect(page.locator("#stage")).to_have_text("Writing")
    wait_until(lambda: len(written(page)) > 15, "some words are there")


def is_whole(page: Page) -> None:
    expect(page.locator("#stage")).to_contain_text("Answered", timeout=BACK_MS)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    assert words_of(page) == answer_of(page)["answer"].removeprefix("- ").split()


def test_a_service_that_was_killed_goes_on_and_is_asked_once(visit: Visit, site: Site) -> None:
    """The answer that was being written goes on; the question that found nobody has been sent under one key."""
    reading, asking = visit.page(), visit.page()
    keys: list[str] = []
    asking.on("request", lambda sent: keys.extend(key for name, key in sent.headers.items() if name == KEY_HEADER))
    begun(reading)
    site.kill()
    expect(reading.locator("#stage")).to_contain_text("has not answered since")
    ask(asking, QUESTION)
    expect(asking.locator("#stage")).to_contain_text("has not answered since")
    expect(asking.get_by_role("heading", name=QUESTION)).to_be_visible()
    wait_until(lambda: asking.evaluate("1") and len(keys) > 1, "it is sent again")
    site.start()
    is_whole(reading)
    is_whole(asking)
    assert len(set(keys)) == 1


def test_while_one_question_waits_after_a_reload_another_is_asked(visit: Visit) -> None:
    page = visit.page()
    page.route("**/chat", lambda route: route.fulfill(status=503, json={"detail": "Not now."}))
    ask(page, "Who waits?")
    expect(page.locator("#stage")).to_contain_text("Not taken yet")
    page.reload()
    expect(page.get_by_role("heading", name="Who waits?")).to_be_visible()
    page.unroute("**/chat")
    page.route("**/chat", lambda route: route.continue_() if QUESTION in (route.request.post_data or "") else None)
    ask(page, QUESTION)
    is_whole(page)


def test_a_list_that_cannot_be_had_hides_nothing_that_was_asked_meanwhile(visit: Visit) -> None:
    held: list[Route] = []
    visit.context.route("**/documents?*", lambda route: held.append(route), times=1)
    page = visit.page()
    wait_until(lambda: page.evaluate("1") and held, "the list is asked for")
    ask(page, QUESTION)
    is_whole(page)
    with page.expect_event("requestfinished", lambda request: "/documents?" in request.url):
        held[0].fulfill(status=503, json={"detail": "Not now."})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator("#answer").is_visible()


def test_an_answer_goes_on_when_valkey_was_killed_and_is_back(visit: Visit, site: Site) -> None:
    page = visit.page()
    begun(page)
    os.kill(site.valkey, signal.SIGKILL)
    is_whole(page)


def test_a_question_that_is_told_to_wait_says_so_and_survives_a_reload(visit: Visit, site: Site) -> None:
    page = visit.page()
    expect(page.locator("#hint")).to_contain_text("ready")
    hold(site.valkey)
    try:
        ask(page, QUESTION)
        expect(page.locator("#stage")).to_contain_text("Not taken yet: The queue can't be reached", timeout=BACK_MS)
        page.reload()
    finally:
        os.kill(site.valkey, signal.SIGCONT)
    is_whole(page)
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()


def test_a_question_that_nobody_takes_can_be_given_up(visit: Visit, site: Site) -> None:
    page = visit.page()
    visit.context.set_offline(True)
    ask(page, QUESTION)
    expect(page.locator("#stage")).to_contain_text("has not answered since")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#stage")).to_have_text("Not sent")
    expect(page.get_by_label("Question", exact=True)).to_have_value(QUESTION)


def test_a_question_that_waits_says_its_place_in_the_queue(visit: Visit, site: Site) -> None:
    url = site.url
    holding = [asked_elsewhere(url, f"{number} forever and how is a boat washed?") for number in range(2)]
    wait_until(lambda: httpx.get(f"{url}/job-status/{holding[0]}").json()["status"] == "started", "one is at work")
    page = visit.page()
    ask(page, QUESTION)
    expect(page.locator("#stage")).to_have_text("Queued: number 2")
    httpx.post(f"{url}/jobs/{holding[1]}/cancel")
    expect(page.locator("#stage")).to_have_text("Queued: number 1")
    httpx.post(f"{url}/jobs/{holding[0]}/cancel")
    is_whole(page)


@pytest.fixture
def bare(browser: Browser, tmp_path: Path) -> Iterator[Running]:
    """A service without documents, and without anybody at its model's address."""
    started = start(tmp_path, OPENAI_API_KEY="x", OPENAI_BASE_URL=NOBODY, CHAT_MODEL="test", MAX_ATTEMPTS="1")
    yield started
    assert started.stop() == 0, started.log.read_text()


def test_a_first_run_says_what_to_do_and_a_failed_answer_why(browser: Browser, bare: Running) -> None:
    url = bare.services.http_url
    with visiting(browser, url) as somebody:
        page = somebody.page()
        expect(page.locator("#hint")).to_contain_text("There are no documents yet")
        expect(page.get_by_role("link", name="Add documents")).to_have_attribute("href", "/page/documents")
        httpx.post(f"{url}/documents", params={"collection": "boats"}, files={"files": ("a.txt", PAGES[1].encode())})
        expect(page.locator("#hint")).to_contain_text("1 document is ready", timeout=BACK_MS)
        expect(page.locator("#scope-phrase")).to_have_text("Collection boats")  # there is nothing in the default one
        ask(page, QUESTION)
        expect(page.locator("#stage")).to_have_text("Failed", timeout=BACK_MS)
        expect(page.locator("#note")).to_contain_text("The model could not be reached or failed. Ask again")
        expect(page.get_by_role("button", name="Ask again")).to_be_visible()
