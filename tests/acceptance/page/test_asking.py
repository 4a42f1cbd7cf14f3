"""Asking a question in a browser."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.acceptance.conftest import Running
from tests.acceptance.page.asking import answer_of, ask, asked_elsewhere, job_of, words_of
from tests.acceptance.page.conftest import QUESTION, QUOTE
from tests.support.browser import Visit, visiting
from tests.support.processes import wait_until

COPIED = f"{QUOTE} [1]\n\n[1] handbook.pdf, page 2"
MARKUP = "<img src=x onerror=hacked()>"
"""What a browser that reads it as HTML would run."""
IS_HACKED = "() => window.isHacked === true"
HOSTILE = f'<script>window.isHacked = true</script><img src=x onerror="window.isHacked = true"> {MARKUP}'


MARKUP_NAME = f"{MARKUP}.txt"


def documents(url: str, collection: str) -> list[dict[str, str]]:
    """The documents of a collection, as the API lists them."""
    found: list[dict[str, str]] = httpx.get(f"{url}/documents", params={"collection": collection}).json()["documents"]
    return found


@pytest.fixture(scope="module")
def hostile_id(service: Running) -> str:
    """A document of another collection whose name and text would be HTML."""
    text = f"The lighthouse is dangerous. Nobody climbs {HOSTILE} the lighthouse."
    url = service.services.http_url
    sent = httpx.post(
        f"{url}/documents", params={"collection": "hostile"}, files={"files": (MARKUP_NAME, text.encode())}
    )
    assert sent.status_code == 202, sent.text
    wait_until(lambda: documents(url, "hostile")[0]["status"] == "indexed", "the document is indexed")
    return str(sent.json()["documents"][0]["document_id"])


@pytest.fixture
def stranger(browser: Browser, service: Running) -> Iterator[Visit]:
    """Somebody who meets refusals."""
    with visiting(browser, service.services.http_url, refusals_expected=True) as somebody:
        yield somebody


def posted(page: Page, question: str) -> dict[str, object]:
    """The body that asking sends, but for the conversation's name."""
    with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/chat")) as sent:
        ask(page, question)
    found: Request = sent.value
    body: dict[str, object] | None = found.post_data_json
    assert body is not None
    assert body.pop("session_id")
    return body


def test_an_answer_has_its_sources_and_an_address_of_its_own(visit: Visit) -> None:
    page = visit.page()
    ask(page, QUESTION)
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    expect(page.locator("#stage")).to_contain_text("Answered in")
    expect(page.get_by_role("log", name="Answer")).to_have_attribute("aria-busy", "false")
    assert "?job=" in page.url
    assert words_of(page) == answer_of(page)["answer"].split()


def test_another_tab_shows_the_same_answer_at_that_address(visit: Visit) -> None:
    page = visit.page()
    ask(page, QUESTION)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    other = visit.page(page.url.removeprefix(visit.base_url))
    expect(other.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(other.locator("#sources")).to_contain_text(QUOTE)


def test_a_question_of_another_browser_is_shown_with_its_answer(visit: Visit) -> None:
    page = visit.page(f"/?job={asked_elsewhere(visit.base_url, QUESTION)}")
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    expect(page.get_by_role("button", name="Ask again")).to_be_visible()


def test_what_is_copied_is_the_answer_with_its_sources(visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.page()
    ask(page, QUESTION)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == COPIED


def test_it_is_copied_over_plain_http_as_well(visit: Visit) -> None:
    """Where a browser gives scripts no clipboard. Then Ctrl+V shows what is on it."""
    visit.context.add_init_script(
        "Object.defineProperty(window, 'isSecureContext', {value: false});"
        "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
    )
    page = visit.page()
    assert page.evaluate("navigator.clipboard === undefined && !window.isSecureContext")
    ask(page, QUESTION)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_label("Question", exact=True).press("Control+V")
    expect(page.get_by_label("Question", exact=True)).to_have_value(COPIED)


def test_asking_again_is_another_job_for_the_same_question(visit: Visit) -> None:
    page = visit.page()
    ask(page, QUESTION)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    first = page.url
    page.get_by_role("button", name="Ask again").click()
    expect(page).not_to_have_url(re.compile(re.escape(first) + r"|/$"))
    expect(page.get_by_role("heading", name=QUESTION)).to_be_focused()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    page.go_back()
    expect(page).to_have_url(first)
    expect(page.locator("#sources")).to_contain_text(QUOTE)


def test_earlier_questions_are_listed_opened_and_forgotten(visit: Visit) -> None:
    page = visit.page()
    expect(page.locator("#earlier")).to_be_hidden()
    ask(page, QUESTION)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    asked_at = page.url
    page.get_by_role("link", name="Ask", exact=True).click()
    page.get_by_role("link", name=QUESTION).click()
    expect(page).to_have_url(asked_at)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    page.get_by_role("link", name="Ask", exact=True).click()
    page.get_by_role("button", name="Forget them").click()
    expect(page.locator("#earlier")).to_be_hidden()
    page.reload()
    expect(page.locator("#hint")).to_contain_text("ready")
    expect(page.locator("#earlier")).to_be_hidden()


def test_an_answer_that_has_expired_says_so_and_is_asked_again(stranger: Visit) -> None:
    page = stranger.page()
    ask(page, QUESTION)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    assert httpx.delete(f"{stranger.base_url}/jobs/{job_of(page)}").status_code == 204
    page.reload()
    expect(page.locator("#note")).to_contain_text("it has expired")
    page.locator("#earlier summary").click()
    expect(page.locator("#earlier-list")).to_contain_text("expired")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#sources")).to_contain_text(QUOTE)


def test_what_to_ask_is_chosen_in_a_dialog_kept_and_cleared(visit: Visit) -> None:
    page = visit.page()
    scope = page.locator("#scope-phrase")
    expect(scope).to_have_text("All documents")
    page.locator("#scope").click()
    page.get_by_role("checkbox", name="handbook.pdf").check()
    page.get_by_role("button", name="Ask these").click()
    expect(scope).to_have_text("handbook.pdf")
    [document_id] = [one["document_id"] for one in documents(visit.base_url, "default")]
    assert posted(page, QUESTION) == {"query": QUESTION, "document_ids": [document_id]}
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    page.reload()
    expect(scope).to_have_text("handbook.pdf")
    page.get_by_role("button", name="Ask all documents again").click()
    expect(scope).to_have_text("All documents")
    assert posted(page, QUESTION) == {"query": QUESTION}


def test_what_to_ask_may_stand_in_the_address(visit: Visit, hostile_id: str) -> None:
    page = visit.page(f"/?document={hostile_id}&document=nobody")
    expect(page.locator("#scope-phrase")).to_have_text(MARKUP_NAME)
    assert posted(page, QUESTION) == {"query": QUESTION, "collection": "hostile", "document_ids": [hostile_id]}
    expect(page.locator("#stage")).to_contain_text("Answered")


def test_a_document_that_does_not_answer_says_what_was_searched_and_what_to_try(
    visit: Visit, hostile_id: str
) -> None:
    page = visit.page(f"/?document={hostile_id}")
    expect(page.locator("#scope-phrase")).to_have_text(MARKUP_NAME)
    ask(page, "zork blorf")
    expect(page.locator("#note")).to_contain_text(f"Only this was searched: {MARKUP_NAME}.")
    page.get_by_role("button", name="Ask all documents", exact=True).click()
    expect(page.locator("#note")).to_contain_text("All documents were searched.")


def test_markup_of_a_question_a_name_and_an_answer_is_text(visit: Visit, hostile_id: str) -> None:
    page = visit.page(f"/?document={hostile_id}")
    expect(page.locator("#scope-phrase")).to_have_text(MARKUP_NAME)
    question = f"Who climbs the lighthouse? {HOSTILE}"
    ask(page, question)
    expect(page.locator("#sources")).to_contain_text(MARKUP_NAME)
    expect(page.locator("#question")).to_have_text(question)
    expect(page.locator("#answer")).to_contain_text("the lighthouse")
    page.locator("#earlier summary").click()
    expect(page.locator("#earlier-list a")).to_have_text(question)
    page.locator("#scope").click()
    expect(page.locator("#choices")).to_contain_text(MARKUP_NAME)
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate(IS_HACKED) is False


def test_a_long_question_is_shown_in_part_and_one_too_long_is_not_sent(visit: Visit) -> None:
    page = visit.page()
    long = " ".join([QUESTION] * 20)
    ask(page, long)
    expect(page.locator("#question")).to_have_class(re.compile("cut"))
    page.get_by_role("button", name="Show the whole question").click()
    expect(page.locator("#question")).not_to_have_class(re.compile("cut"))
    page.get_by_label("Question", exact=True).fill("a" * 8001)
    page.get_by_label("Question", exact=True).press("Enter")
    expect(page.get_by_text("this one has 8,001")).to_be_visible()
    expect(page.locator("#question")).to_have_text(long)


def test_a_question_from_right_to_left_is_set_so(visit: Visit) -> None:
    page = visit.page()
    ask(page, "متى يفتح الميناء؟")
    direction = "(one) => getComputedStyle(one).direction"
    assert page.locator("#question").evaluate(direction) == "rtl"
    ask(page, QUESTION)
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    assert page.locator("#question").evaluate(direction) == "ltr"


def test_keys_alone_lead_from_the_question_to_its_citation(visit: Visit) -> None:
    page = visit.page()
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    mark = page.locator("#answer .cite")
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
        if mark.evaluate("(one) => one === document.activeElement"):
            break
    expect(mark).to_be_focused()
    page.keyboard.press("Enter")
    expect(mark).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#read")).to_be_visible()


def test_a_collection_is_chosen_by_what_people_call_it(visit: Visit, hostile_id: str, service: Running) -> None:
    said = {"title": f"Lighthouses {MARKUP}"}
    httpx.put(f"{service.services.http_url}/collections/hostile", json=said).raise_for_status()
    page = visit.page()
    page.locator("#scope").click()
    collection = page.get_by_label("Collection")
    expect(collection.locator("option")).to_have_text(["default", said["title"]])
    collection.select_option("hostile")
    page.get_by_role("button", name="Ask all").click()
    assert posted(page, "Who climbs the lighthouse?")["collection"] == "hostile"
