"""Saying on the page whether an answer was good."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.conftest import Running
from tests.acceptance.page.accessible import assert_accessible
from tests.acceptance.page.asking import ask, asked_elsewhere, job_of
from tests.acceptance.page.conftest import QUESTION, QUOTE
from tests.support.browser import Visit, visiting
from tests.support.processes import wait_until

RATE = re.compile(r'<span class="rate".*?</span>\s*</span>|<form id="wrong".*?</form>', re.DOTALL)
"""What stands in the page of a service that has a chat log, and in no other's."""


@pytest.fixture
def stranger(browser: Browser, service: Running) -> Iterator[Visit]:
    """Somebody who meets refusals."""
    with visiting(browser, service.services.http_url, refusals_expected=True) as somebody:
        yield somebody


def answered(visit: Visit) -> Page:
    page = visit.page()
    ask(page, QUESTION)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    expect(page.get_by_role("group", name="Was this answer good?")).to_be_visible()
    return page


def logged(visit: Visit, page: Page) -> dict[str, Any]:
    """What the chat log has of the answer."""

    def row() -> dict[str, Any] | None:
        entries = httpx.get(f"{visit.base_url}/history", params={"limit": 500}).json()["entries"]
        return next((one for one in entries if one["job_id"] == job_of(page)), None)

    return wait_until(row, "its row is there")


def is_rated(page: Page, rating: str | None) -> None:
    for name, label in (("up", "Good answer"), ("down", "Bad answer")):
        button = page.get_by_role("button", name=label)
        expect(button).to_have_attribute("aria-pressed", "true" if name == rating else "false")


def test_a_rating_is_kept_shown_and_changed(visit: Visit) -> None:
    page = answered(visit)
    is_rated(page, None)
    page.get_by_role("button", name="Good answer").press("Enter")
    expect(page.locator("#rated")).to_have_text("Thank you.")
    is_rated(page, "up")
    assert logged(visit, page)["rating"] == "up"
    assert_accessible(page)
    page.reload()
    is_rated(page, "up")
    page.get_by_role("button", name="Bad answer").click()
    is_rated(page, "down")
    assert logged(visit, page)["rating"] == "down"
    page.get_by_role("button", name="Good answer").click()
    is_rated(page, "up")
    expect(page.get_by_role("form", name="What was wrong")).to_be_hidden()
    assert logged(visit, page)["rating"] == "up"


def test_what_was_wrong_may_be_said_by_keys_alone(visit: Visit) -> None:
    page = answered(visit)
    page.get_by_role("button", name="Bad answer").press("Enter")
    comment = page.get_by_label("What was wrong?")
    expect(comment).to_be_focused()
    assert logged(visit, page)["rating"] == "down"
    assert_accessible(page)
    page.keyboard.type("  The old edition. ")
    page.keyboard.press("Tab")
    expect(page.get_by_label("What should it have said?")).to_be_focused()
    page.keyboard.type("With salt water.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("form", name="What was wrong")).to_be_hidden()
    expect(page.get_by_role("button", name="Bad answer")).to_be_focused()
    said = logged(visit, page)
    assert (said["rating"], said["comment"], said["expected"]) == ("down", "The old edition.", "With salt water.")
    page.keyboard.press("Enter")
    expect(comment).to_have_value("  The old edition. ")
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("form", name="What was wrong")).to_be_hidden()
    assert logged(visit, page)["expected"] == "With salt water."


def test_a_rating_that_is_not_taken_is_said_and_not_shown(stranger: Visit) -> None:
    page = answered(stranger)
    page.get_by_role("button", name="Good answer").click()
    is_rated(page, "up")
    away = {"status": 503, "json": {"detail": "The chat log can't be reached."}}
    page.route("**/feedback", lambda route: route.fulfill(**away), times=1)
    page.get_by_role("button", name="Bad answer").click()
    expect(page.locator("#rated")).to_have_text("Not taken. The chat log can't be reached.")
    is_rated(page, "up")
    expect(page.get_by_role("form", name="What was wrong")).to_be_hidden()
    assert_accessible(page)
    page.get_by_role("button", name="Bad answer").click()
    is_rated(page, "down")
    page.get_by_label("What was wrong?").fill("All of it.")
    page.route("**/feedback", lambda route: route.fulfill(**away), times=1)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#rated")).to_have_text("Not taken. The chat log can't be reached.")
    expect(page.get_by_label("What was wrong?")).to_have_value("All of it.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#rated")).to_have_text("Thank you.")
    assert logged(stranger, page)["comment"] == "All of it."


def test_each_answer_has_its_own_rating(visit: Visit) -> None:
    page = answered(visit)
    page.get_by_role("button", name="Bad answer").click()
    is_rated(page, "down")
    first = page.url
    page.get_by_role("button", name="Ask again").click()
    expect(page).to_have_url(re.compile(r"job="))
    expect(page.locator("#rated")).to_have_text("")
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    is_rated(page, None)
    expect(page.get_by_role("form", name="What was wrong")).to_be_hidden()
    page.goto(first)
    is_rated(page, "down")


def test_what_has_no_answer_is_not_rated(stranger: Visit) -> None:
    page = stranger.page()
    page.route("**/stream/*", lambda route: route.fulfill(status=503))
    ask(page, QUESTION)
    expect(page.locator("#stage")).to_contain_text("has not answered since")
    expect(page.locator("#rate")).to_be_hidden()
    page.goto(f"{stranger.base_url}/?job=nobody")
    expect(page.locator("#note")).to_contain_text("it has expired")
    expect(page.locator("#rate")).to_be_hidden()


def test_an_answer_of_another_browser_is_rated_as_well(visit: Visit) -> None:
    page = visit.page(f"/?job={asked_elsewhere(visit.base_url, QUESTION)}")
    page.get_by_role("button", name="Good answer").click()
    is_rated(page, "up")
    assert logged(visit, page)["rating"] == "up"


def test_without_a_chat_log_nobody_is_asked(visit: Visit) -> None:
    page = visit.context.new_page()

    def without(route: Route) -> None:
        text, count = RATE.subn("", (whole := route.fetch()).text())
        assert count == 2
        route.fulfill(response=whole, body=text)

    page.route(f"{visit.base_url}/", without)
    page.goto(visit.base_url)
    ask(page, QUESTION)
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    assert page.get_by_role("button", name="Good answer").count() == 0
