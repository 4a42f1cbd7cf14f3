"""Asking on under an answer, and the conversations that there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.conftest import Running
from tests.acceptance.page.accessible import assert_accessible
from tests.acceptance.page.asking import ask, conversation_of, job_of
from tests.acceptance.page.conftest import FOLLOW_UP, QUESTION, QUOTE, STANDALONE
from tests.acceptance.page.restarting import restarting
from tests.acceptance.page.test_asking import HOSTILE, IS_HACKED, MARKUP
from tests.acceptance.page.test_signing_in import KEYS, sign_in
from tests.support.browser import Visit, visiting

OTHER = "When does the harbour open in winter?"
GONE = "There is no such conversation: it has expired or was deleted, or it is not yours."


@pytest.fixture
def stranger(browser: Browser, service: Running) -> Iterator[Visit]:
    """Somebody who meets refusals, in another browser."""
    with visiting(browser, service.services.http_url, refusals_expected=True) as somebody:
        yield somebody


def answered(page: Page, question: str) -> None:
    """Ask it, and wait for the answer's end."""
    ask(page, question)
    expect(page.get_by_role("heading", name=question)).to_be_visible()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    expect(page.get_by_role("log", name="Answer")).to_have_attribute("aria-busy", "false")


def talked(visit: Visit) -> Page:
    """A page on which somebody has asked on."""
    page = visit.page()
    answered(page, QUESTION)
    answered(page, FOLLOW_UP)
    return page


def path_of(page: Page, visit: Visit) -> str:
    return page.url.removeprefix(visit.base_url)


def has_talked(page: Page) -> None:
    """The follow-up is open, as what it was understood, and the first question stands above it."""
    expect(page.get_by_role("heading", name=FOLLOW_UP)).to_be_visible()
    expect(page.locator("#understood")).to_have_text(f"Understood as: {STANDALONE}")
    earlier = page.get_by_role("region", name="Earlier in this conversation")
    expect(earlier.locator("details")).to_have_count(1)
    expect(earlier.locator("summary b")).to_have_text(QUESTION)
    expect(earlier.locator("summary small")).to_contain_text(QUOTE)


def test_a_question_under_an_answer_goes_on_from_it(visit: Visit) -> None:
    page = visit.page()
    box = page.get_by_label("Question", exact=True)
    expect(box).to_have_attribute("placeholder", "Ask a question")
    answered(page, QUESTION)
    expect(page.locator("#understood")).to_be_hidden()
    expect(box).to_have_attribute("placeholder", "Ask a follow-up question")
    name = conversation_of(page)
    answered(page, FOLLOW_UP)
    has_talked(page)
    assert conversation_of(page) == name
    turns = httpx.get(f"{visit.base_url}/conversations/{name}").json()["turns"]
    assert [turn["question"] for turn in turns] == [QUESTION, FOLLOW_UP]
    assert turns[-1]["job_id"] == job_of(page)
    assert_accessible(page)


def test_its_address_shows_it_to_a_reload_and_to_another_browser(visit: Visit, stranger: Visit) -> None:
    page = talked(visit)
    page.reload()
    has_talked(page)
    for path in (path_of(page, visit), f"/?conversation={conversation_of(page)}"):
        other = stranger.page(path)
        has_talked(other)
        expect(other.locator("#sources")).to_contain_text(QUOTE)
    answered(other, OTHER.replace("harbour open in winter", "boat have to be washed"))
    expect(other.locator("#turns details")).to_have_count(2)
    assert conversation_of(other) == conversation_of(page)


def test_an_earlier_answer_is_read_there_and_opened_with_its_sources(visit: Visit) -> None:
    page = talked(visit)
    earlier = page.get_by_role("region", name="Earlier in this conversation")
    earlier.locator("summary").press("Enter")
    expect(earlier.locator("p")).to_contain_text(QUOTE)
    earlier.get_by_role("link", name="Open it with 1 source").click()
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    expect(earlier).to_be_hidden()
    page.get_by_role("link", name="1 later question in this conversation").click()
    has_talked(page)


def test_back_leads_to_the_answer_before(visit: Visit) -> None:
    page = talked(visit)
    page.go_back()
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(page.locator("#turns")).to_be_hidden()
    page.go_forward()
    has_talked(page)


def test_a_new_conversation_begins_anew(visit: Visit) -> None:
    page = talked(visit)
    name = conversation_of(page)
    page.get_by_role("link", name="New conversation").click()
    expect(page.locator("#hint")).to_contain_text("ready")
    answered(page, QUESTION)
    assert conversation_of(page) != name
    expect(page.locator("#turns")).to_be_hidden()
    page.locator("#earlier summary").click()
    page.locator("#earlier-list").get_by_role("link", name=FOLLOW_UP).click()
    has_talked(page)
    assert conversation_of(page) == name


def test_a_question_that_waits_is_sent_in_its_conversation_after_a_reload(stranger: Visit) -> None:
    page = stranger.page()
    answered(page, QUESTION)
    name = conversation_of(page)
    page.route("**/chat", lambda route: route.fulfill(status=503, json={"detail": "Not now."}))
    ask(page, FOLLOW_UP)
    expect(page.locator("#stage")).to_contain_text("Not taken yet")
    page.unroute("**/chat")
    page.reload()
    has_talked(page)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    assert conversation_of(page) == name


def test_an_answer_whose_job_has_gone_is_shown_as_its_conversation_keeps_it(stranger: Visit) -> None:
    """Jobs expire after a day, conversations after a month without use."""
    page = talked(stranger)
    gone = {"status": 404, "json": {"title": "There is no such job."}}
    for address in ("**/stream/*", "**/job-status/*", "**/result/*", "**/page/answers/*"):
        stranger.context.route(address, lambda route: route.fulfill(**gone))
    other = stranger.page(f"/?conversation={conversation_of(page)}")
    has_talked(other)
    expect(other.locator("#stage")).to_have_text("Answered")
    expect(other.locator("#answer")).to_contain_text(QUOTE)
    other.get_by_role("button", name="Source 1").click()
    expect(other.locator("#read")).to_be_visible()
    expect(other.get_by_role("button", name="Good answer")).to_be_visible()


def test_what_was_asked_before_and_could_not_be_had_is_said(stranger: Visit) -> None:
    page = talked(stranger)
    page.route("**/conversations/*", lambda route: route.fulfill(status=503, json={"detail": "Not now."}))
    page.reload()
    expect(page.locator("#turns")).to_have_text("What was asked before could not be had. Not now.")
    expect(page.locator("#sources")).to_contain_text(QUOTE)


@pytest.mark.parametrize("name", ["nobody", "a/b", "<img src=x>", "x" * 129])
def test_a_conversation_that_is_not_there_says_so_or_is_none(stranger: Visit, name: str) -> None:
    page = stranger.page()
    page.goto(f"{stranger.base_url}/?{httpx.QueryParams(conversation=name)}")
    if name == "nobody":
        expect(page.locator("#note")).to_have_text(GONE)
        answered(page, QUESTION)
        assert conversation_of(page) != name
    else:
        expect(page.locator("#hint")).to_contain_text("ready")


def test_conversations_are_listed_and_deleted_after_a_question(stranger: Visit) -> None:
    page = talked(stranger)
    talk, job = conversation_of(page), job_of(page)
    page.get_by_role("link", name="New conversation").click()
    ask(page, OTHER)
    expect(page.locator("#stage")).to_contain_text("Answered")
    page.locator("#conversations summary").press("Enter")
    listed = page.locator("#conversation-list li")
    expect(listed.first.get_by_role("link")).to_have_text(OTHER)
    expect(listed.first.get_by_role("link")).to_have_attribute("aria-current", "page")
    expect(listed.nth(1)).to_contain_text(re.compile(r"2 questions · .+ ago|2 questions · just now"))
    assert_accessible(page)
    count = listed.count()
    listed.nth(1).get_by_role("button", name=f"Delete {QUESTION}").press("Enter")
    dialog = page.get_by_role("dialog", name="Delete this conversation?")
    expect(dialog).to_contain_text(QUESTION)
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert httpx.get(f"{stranger.base_url}/conversations/{talk}").status_code == 200
    listed.nth(1).get_by_role("button", name=f"Delete {QUESTION}").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(listed).to_have_count(count - 1)
    assert page.locator("#conversations").evaluate("(one) => one.contains(document.activeElement)")
    assert httpx.get(f"{stranger.base_url}/conversations/{talk}").status_code == 404
    assert httpx.get(f"{stranger.base_url}/job-status/{job}").status_code == 404
    assert FOLLOW_UP not in page.evaluate("JSON.stringify({...localStorage})")
    listed.first.get_by_role("button", name=f"Delete {OTHER}").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator("#hint")).to_contain_text("ready")
    expect(page).to_have_url(f"{stranger.base_url}/")


def test_a_list_has_pages_and_says_what_is_wrong(stranger: Visit) -> None:
    url = stranger.base_url
    for number in range(21):
        httpx.post(
            f"{url}/chat", json={"query": QUESTION, "session_id": f"page-{number}"}, headers={"Prefer": "wait=30"}
        )
    page = stranger.page()
    page.route("**/conversations?*", lambda route: route.fulfill(status=503, json={"detail": "Not now."}), times=1)
    page.locator("#conversations summary").click()
    expect(page.locator("#conversations-told")).to_have_text("Not now.")
    page.locator("#conversations summary").click()
    page.locator("#conversations summary").click()
    expect(page.locator("#conversation-list li")).to_have_count(20)
    expect(page.locator("#conversations-told")).to_have_text("Everyone who may ask here sees them.")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#conversation-list li").nth(20)).to_be_visible()


def test_what_conversations_hold_is_text(visit: Visit) -> None:
    page = visit.page()
    hostile = f"Who climbs the lighthouse? {HOSTILE}"
    ask(page, hostile)
    expect(page.locator("#stage")).to_contain_text("Answered")
    answered(page, QUESTION)
    expect(page.locator("#turns b")).to_have_text(hostile)
    page.reload()
    expect(page.locator("#turns b")).to_have_text(hostile)
    page.locator("#conversations summary").click()
    expect(page.locator("#conversation-list").get_by_role("link").first).to_contain_text(MARKUP)
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate(IS_HACKED) is False


@pytest.mark.parametrize("name", ["ralf", "otto"])
def test_each_role_has_its_tenants_conversations_and_no_others(browser: Browser, tmp_path: Path, name: str) -> None:
    """Whoever may ask may read and delete them; another tenant's do not exist."""
    entries = ",".join(entry for _, entry in KEYS.values())
    with restarting(tmp_path, API_KEYS=entries) as service:
        shown = {"X-API-Key": KEYS["anna"][0], "Prefer": "wait=30"}
        httpx.post(f"{service.url}/chat", json={"query": OTHER, "session_id": "annas"}, headers=shown)
        with visiting(browser, service.url, refusals_expected=True) as somebody:
            page = somebody.page("/?conversation=annas")
            sign_in(page, KEYS[name][0])
            if name == "ralf":
                expect(page.get_by_role("heading", name=OTHER)).to_be_visible()
            else:
                expect(page.locator("#note")).to_have_text(GONE)
            page.locator("#conversations summary").click()
            expect(page.locator("#conversations-told")).not_to_be_empty()
            expect(page.locator("#conversation-list li")).to_have_count(int(name == "ralf"))
