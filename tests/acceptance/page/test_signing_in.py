"""Signing in and out in a browser, of a service with keys."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.auth.sessions import COOKIE
from tests.acceptance.conftest import Running, ask, start
from tests.acceptance.page.accessible import assert_accessible
from tests.acceptance.page.restarting import restarting
from tests.support.browser import Visit, visiting
from tests.support.credentials import api_key

READY_MS = 30_000
KEYS = {
    name: api_key(name, tenant=tenant, role=role)
    for name, tenant, role in (
        ("anna", "acme", "admin"),
        ("lena", "acme", "ingest"),
        ("ralf", "acme", "ask"),
        ("otto", "other", "admin"),
    )
}
NAME = "tide.txt"
TEXT = b"The tide is high at noon."


@pytest.fixture(scope="module")
def keyed(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with keys of two tenants, of which one has a document."""
    started = start(tmp_path_factory.mktemp("keyed"), API_KEYS=",".join(entry for _, entry in KEYS.values()))
    with started.client() as client:
        files = {"files": (NAME, TEXT)}
        client.post("/documents", files=files, headers=shown("anna")).raise_for_status()
    yield started
    assert started.stop() == 0, started.log.read_text()


@pytest.fixture
def visit(browser: Browser, keyed: Running) -> Iterator[Visit]:
    with visiting(browser, keyed.services.http_url) as somebody:
        yield somebody


def shown(name: str) -> dict[str, str]:
    return {"X-API-Key": KEYS[name][0]}


def sign_in(page: Page, key: str) -> None:
    expect(page.get_by_label("Key or token")).to_be_focused()
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")


def signed_in(visit: Visit, name: str, path: str = "/page/documents") -> Page:
    page = visit.page(path)
    sign_in(page, KEYS[name][0])
    expect(page.locator("#who")).to_contain_text(name)
    return page


def row(page: Page, name: str = NAME) -> Locator:
    return page.locator("#rows tr").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_key_is_asked_for_at_once_and_kept_nowhere(visit: Visit) -> None:
    """Not by a request that is refused: that would be an error in the console, of which there is none."""
    page = visit.page("/page/documents")
    dialog = page.get_by_role("dialog", name="Sign in")
    expect(dialog).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    page.get_by_label("Key or token").focus()
    sign_in(page, KEYS["anna"][0])
    expect(dialog).to_be_hidden()
    expect(row(page)).to_be_visible()
    expect(page.locator("#who")).to_have_text("anna, acme")
    (cookie,) = visit.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (COOKIE, True, "Strict", "/")
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.querySelector('#key').value])"
    for where in (page.content(), page.evaluate(kept), cookie["value"]):
        assert KEYS["anna"][0] not in where
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(row(page)).to_be_visible()
    expect(dialog).to_be_hidden()
    assert_accessible(page)


def test_a_wrong_key_is_told_and_the_right_one_then_lets_in(visit: Visit) -> None:
    visit.refusals_expected = True
    page = visit.page("/page/documents")
    sign_in(page, "rag_wrong")
    expect(page.get_by_role("alert")).to_have_text("This key is not known here, or not any more.")
    assert_accessible(page)
    page.route("**/session", lambda route: route.fulfill(status=429, headers={"Retry-After": "7"}, json={}), times=1)
    sign_in(page, "rag_wrong")  # over what was there, which is selected
    expect(page.get_by_role("alert")).to_have_text("Too many attempts. Try again in 7 s.")
    sign_in(page, KEYS["anna"][0])
    expect(row(page)).to_be_visible()


def test_another_tenants_job_does_not_exist(visit: Visit, keyed: Running) -> None:
    visit.refusals_expected = True
    with keyed.client() as client:
        client.headers.update(shown("otto"))
        job_id = ask(client, "Where is the tide?")["job_id"]
    page = signed_in(visit, "anna", f"/?job={job_id}")
    expect(page.get_by_role("main")).to_contain_text("There is no such answer: it has expired, or it is not yours.")
    expect(page.locator("#answer")).to_have_text("")


@pytest.mark.parametrize(("name", "may"), [("ralf", False), ("lena", True)])
def test_each_is_offered_what_their_role_may(visit: Visit, name: str, may: bool) -> None:
    page = signed_in(visit, name)
    expect(row(page).get_by_text("ready")).to_be_visible(timeout=READY_MS)
    expect(page.get_by_role("link", name=f"Ask {NAME}")).to_be_visible()
    expect(page.locator("#drop")).to_be_visible(visible=may)
    expect(page.get_by_role("button", name=f"Delete {NAME}")).to_have_count(int(may))
    expect(page.get_by_role("link", name="Watch")).to_be_hidden()


def test_a_session_that_ends_in_mid_use_is_renewed_and_what_was_begun_goes_on(visit: Visit) -> None:
    visit.refusals_expected = True
    page = signed_in(visit, "anna")
    expect(row(page)).to_be_visible()
    visit.context.clear_cookies()
    page.locator("#files").set_input_files({"name": "log.txt", "mimeType": "text/plain", "buffer": b"All is well."})
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    expect(row(page)).to_have_count(1)  # the page is as it was
    sign_in(page, KEYS["anna"][0])
    expect(row(page, "log.txt")).to_be_visible()
    page.get_by_role("button", name="Delete log.txt").click(timeout=READY_MS)
    visit.context.clear_cookies()
    page.get_by_role("button", name="Delete", exact=True).click()
    sign_in(page, KEYS["anna"][0])
    expect(row(page, "log.txt")).to_have_count(0)


def test_somebody_elses_key_begins_the_page_anew(visit: Visit) -> None:
    visit.refusals_expected = True
    page = signed_in(visit, "anna")
    expect(row(page)).to_be_visible()
    visit.context.clear_cookies()
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    sign_in(page, KEYS["otto"][0])
    expect(page.locator("#who")).to_have_text("otto, other")
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    expect(row(page)).to_have_count(0)


def test_signing_out_leaves_nothing_of_the_tenant_behind(visit: Visit) -> None:
    page = signed_in(visit, "anna")
    expect(row(page)).to_be_visible()
    page.evaluate("localStorage.setItem('rag-queue questions', JSON.stringify([{id: 'x', question: 'Secret?'}]))")
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.locator("#who")).to_contain_text("anna")
    other = visit.page("/page/documents")
    expect(row(other)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        expect(tab.get_by_role("dialog", name="Sign in")).to_be_visible()
        expect(row(tab)).to_have_count(0)
    assert visit.context.cookies() == []
    assert page.evaluate("JSON.stringify({...localStorage})").count("Secret") == 0
    page.go_back()
    expect(page).to_have_url(re.compile("/page/documents$"))
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    expect(row(page)).to_have_count(0)


def test_with_its_key_a_session_ends(browser: Browser, tmp_path: Path) -> None:
    with (
        restarting(tmp_path, API_KEYS=KEYS["anna"][1]) as service,
        visiting(browser, service.url, refusals_expected=True) as somebody,
    ):
        page = signed_in(somebody, "anna")
        service.stop()
        service.start(API_KEYS=KEYS["lena"][1])
        dialog = page.get_by_role("dialog", name="Sign in")
        expect(dialog).to_be_visible(timeout=READY_MS)
        sign_in(page, KEYS["anna"][0])
        expect(dialog.get_by_role("alert")).to_have_text("This key is not known here, or not any more.")
        sign_in(page, KEYS["lena"][0])
        expect(page.locator("#who")).to_have_text("lena, acme")
