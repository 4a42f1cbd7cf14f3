"""An answer as it is written: word by word, whatever the reader or the network does meanwhile."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.page.asking import REMEMBER_PLAIN, answer_of, ask, words_of, written
from tests.acceptance.page.conftest import QUESTION, Site
from tests.support.browser import Visit, visiting
from tests.support.cable import Cable, cable
from tests.support.processes import wait_until

BEGINNING = re.compile(r"(\S+\s+){15}")
SMALL = (700, 420)
"""A window in which the answer soon has more lines than there is room for."""
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""At which a browser gives up to follow events, for good."""
PAST_THE_END = """
const Real = EventSource;
window.EventSource = class extends Real {
  constructor(url) { super(`${url.split("?")[0]}?starting_after=${2 ** 53 - 1}`); }
};
"""
"""An init script: a browser that has all of a job's events, of which only the last was lost on the way."""


@pytest.fixture
def line(site: Site) -> Iterator[Cable]:
    """What the reader's network hangs on."""
    port = urlsplit(site.url).port
    assert port is not None
    with cable(port) as laid:
        yield laid


@pytest.fixture
def reader(browser: Browser, line: Cable) -> Iterator[Visit]:
    """Somebody who reads along; `written` tells what the stream brought."""
    width, height = SMALL
    url = f"http://127.0.0.1:{line.port}"
    with visiting(browser, url, width=width, height=height, refusals_expected=True) as somebody:
        somebody.context.add_init_script(REMEMBER_PLAIN)
        yield somebody


def begun(visit: Visit) -> Page:
    """A page on which an answer is being written."""
    page = visit.page()
    ask(page, QUESTION)
    expect(page.locator("#answer")).to_have_text(BEGINNING)
    expect(page.get_by_role("log", name="Answer")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#stage")).to_have_text("Writing")
    return page


def interrupt(page: Page, line: Cable, reply: bytes) -> None:
    """Cut the line until the browser has noticed and tried again, and mend it."""
    before, met = len(written(page)), line.turned_away
    line.cut(reply)
    expect(page.locator("#stage")).to_contain_text("has not answered since")
    wait_until(lambda: line.turned_away > met, "the browser has tried again")
    line.mend()
    wait_until(lambda: len(written(page)) > before, "the words go on")


def is_whole(page: Page) -> None:
    """Every word came once and in its order; and the HTML at the end has the same."""
    expect(page.locator("#stage")).to_contain_text("Answered", timeout=15_000)
    expect(page.get_by_role("log", name="Answer")).to_have_attribute("aria-busy", "false")
    answer = answer_of(page)["answer"]
    assert written(page) == answer.split()
    assert words_of(page) == answer.removeprefix("- ").split()


def test_every_word_is_written_once(reader: Visit) -> None:
    is_whole(begun(reader))


def test_a_reload_in_mid_stream_goes_on_from_the_first_word(reader: Visit) -> None:
    page = begun(reader)
    address = page.url
    page.reload()
    assert page.url == address
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    is_whole(page)


def test_another_tab_reads_along_from_the_first_word(reader: Visit) -> None:
    page = begun(reader)
    other = reader.page(page.url.removeprefix(reader.base_url))
    is_whole(other)
    is_whole(page)


@pytest.mark.parametrize("reply", [b"", BAD_GATEWAY], ids=["nobody", "a gateway"])
def test_a_network_that_was_away_loses_and_doubles_no_word(reader: Visit, line: Cable, reply: bytes) -> None:
    page = begun(reader)
    for _ in range(2):
        interrupt(page, line, reply)
    is_whole(page)
    assert page.evaluate("window.hasBegunAnew") is False


def test_an_answer_whose_end_was_missed_is_fetched(reader: Visit) -> None:
    """Then the stream has nothing more to say: a 204, over and over."""
    page = begun(reader)
    is_whole(page)
    reader.context.add_init_script(PAST_THE_END)
    page.reload()
    expect(page.locator("#stage")).to_contain_text("Answered", timeout=15_000)
    assert words_of(page) == answer_of(page)["answer"].removeprefix("- ").split()


def test_what_was_written_stays_when_it_is_stopped(reader: Visit) -> None:
    page = begun(reader)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#stage")).to_have_text("Stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_role("button", name="Ask again")).to_be_focused()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    stopped = words_of(page)
    assert stopped[:5] == written(page)[:5]
    page.reload()
    expect(page.locator("#stage")).to_have_text("Stopped")
    assert words_of(page) == stopped


def test_another_question_leaves_the_first_ones_words_behind(reader: Visit) -> None:
    page = begun(reader)
    ask(page, "When does the harbour open in winter?")
    expect(page.get_by_role("heading", name="When does the harbour open in winter?")).to_be_visible()
    is_whole(page)


def test_the_page_follows_the_words_only_while_the_reader_is_at_their_end(reader: Visit) -> None:
    page = begun(reader)
    wait_until(lambda: page.evaluate("scrollY") > 100, "the page follows")
    end = "document.getElementById('answer').getBoundingClientRect().bottom <= innerHeight"
    assert page.evaluate(end)
    page.mouse.move(300, 200)
    page.mouse.wheel(0, -5000)
    wait_until(lambda: page.evaluate("scrollY") == 0, "the reader is at the beginning")
    words = len(written(page))
    wait_until(lambda: len(written(page)) > words + 30, "the answer goes on")
    assert page.evaluate("scrollY") == 0
    is_whole(page)
    assert page.evaluate("scrollY") == 0
