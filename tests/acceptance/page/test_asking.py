"""Asking a question in a browser."""

from playwright.sync_api import expect

from tests.acceptance.page.conftest import QUESTION, QUOTE
from tests.support.browser import Visit


def test_an_answer_has_its_sources_and_an_address_of_its_own(visit: Visit) -> None:
    page = visit.page()
    page.get_by_label("Question", exact=True).fill(QUESTION)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(page.locator("#sources")).to_contain_text(QUOTE)
    assert "?job=" in page.url
