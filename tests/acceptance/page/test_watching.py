"""Operators in a browser: queues, worker processes, failed jobs, and a job step by step."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.acceptance.conftest import Running, start
from tests.acceptance.page.accessible import assert_accessible
from tests.acceptance.page.conftest import write_documents
from tests.support.browser import Visit, visiting
from tests.support.credentials import api_key
from tests.support.model_server import ModelServer

KEYS = {
    name: api_key(name, tenant=tenant, role=role)
    for name, tenant, role in (("anna", "default", "admin"), ("ralf", "default", "ask"), ("otto", "other", "admin"))
}
QUESTIONS = ("How is a boat washed?", "When does the <b>harbour</b> open?", "Who keeps what was found?")
REFUSING = "test-error401"
"""A model for which no key is good: no retry can help."""
LOOKS_MS = 20_000
"""Several looks of the view at what it shows."""


@pytest.fixture(scope="module")
def operated(browser: Browser, model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service of two tenants whose questions all fail, since its model takes no key."""
    folder = tmp_path_factory.mktemp("operated")
    started = start(
        folder,
        "--ingest",
        str(write_documents(folder / "pdfs")),
        API_KEYS=",".join(entry for _, entry in KEYS.values()),
        OPENAI_API_KEY="x",
        OPENAI_BASE_URL=model.url,
        CHAT_MODEL=REFUSING,
    )
    yield started
    assert started.stop() == 0, started.log.read_text()


def sign_in(somebody: Visit, name: str) -> None:
    assert somebody.context.request.post(f"{somebody.base_url}/session", data={"key": KEYS[name][0]}).ok


@pytest.fixture
def visit(browser: Browser, operated: Running) -> Iterator[Visit]:
    """An operator, with no failed job of theirs yet."""
    with operated.client() as client:
        client.delete("/jobs?status=failed", headers={"X-API-Key": KEYS["anna"][0]}).raise_for_status()
    with visiting(browser, operated.services.http_url) as somebody:
        sign_in(somebody, "anna")
        yield somebody


def fail(running: Running, *questions: str, name: str = "anna") -> list[str]:
    """Ask these, and wait until each has failed; their jobs."""
    with running.client() as client:
        headers = {"X-API-Key": KEYS[name][0], "Prefer": "wait=30"}
        ended = [client.post("/chat", json={"query": query}, headers=headers, timeout=40) for query in questions]
    assert [answer.json()["status"] for answer in ended] == ["failed"] * len(questions)
    return [str(answer.json()["job_id"]) for answer in ended]


def failed(page: Page, job_id: str) -> Locator:
    return page.locator("#failed tr").filter(has=page.get_by_role("link", name=job_id[:8]))


def test_queues_and_processes_are_shown_with_their_last_hour(visit: Visit, operated: Running) -> None:
    fail(operated, *QUESTIONS)
    page = visit.page("/page/watch")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    queue = page.get_by_role("row", name=re.compile("^rag_queries"))
    expect(queue.locator("td.bad")).to_have_text(re.compile("[1-9]"), timeout=LOOKS_MS)
    expect(queue.get_by_role("img", name=re.compile("failed"))).to_be_visible()
    processes = page.locator("#workers tr")
    expect(processes).to_have_count(1)
    expect(processes).to_contain_text("queries, ingest, webhooks, pages")
    assert_accessible(page)


def test_failed_jobs_are_chosen_by_filter_and_sent_back_or_deleted(visit: Visit, operated: Running) -> None:
    first, second, third = fail(operated, *QUESTIONS)
    page = visit.page("/page/watch")
    expect(page.locator("#failed tr")).to_have_count(3)
    page.get_by_label("Words").fill("no such reason")
    expect(page.get_by_text("Nothing that failed fits this filter.")).to_be_visible()
    assert "text=no+such+reason" in page.url
    page.reload()
    expect(page.get_by_label("Words")).to_have_value("no such reason")
    expect(page.get_by_text("Nothing that failed fits this filter.")).to_be_visible()
    page.get_by_label("Words").fill("")
    expect(page.locator("#failed tr")).to_have_count(3)

    failed(page, first).get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 1 failed job?")
    assert_accessible(page)
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#failed tr")).to_have_count(3)
    failed(page, first).get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(failed(page, first)).to_have_count(0)

    failed(page, second).get_by_role("checkbox").check()
    page.get_by_role("button", name="Requeue", exact=True).click()
    dialog.get_by_role("button", name="Requeue").click()
    expect(page.locator("#done")).to_have_text("1 requeued.")

    page.get_by_label("Choose all of this page").check()
    page.get_by_role("button", name="Choose all that match").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator("#failed tr")).to_have_count(0, timeout=LOOKS_MS)
    expect(failed(page, third)).to_have_count(0)


def test_a_job_is_shown_step_by_step(visit: Visit, operated: Running) -> None:
    job_id = fail(operated, QUESTIONS[1])[0]
    page = visit.page("/page/watch")
    failed(page, job_id).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(QUESTIONS[1])
    steps = page.locator("#steps b")
    expect(steps).to_have_text(["queued", "started", "passages found", "failed"])
    assert_accessible(page)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    visit.refusals_expected = True
    expect(page.get_by_role("heading", level=1)).to_have_text("No such job")


def test_another_tenants_jobs_are_not_there(browser: Browser, visit: Visit, operated: Running) -> None:
    job_id = fail(operated, QUESTIONS[0])[0]
    with visiting(browser, operated.services.http_url, refusals_expected=True) as stranger:
        sign_in(stranger, "otto")
        page = stranger.page("/page/watch")
        expect(page.get_by_text("Nothing has failed.")).to_be_visible()
        page.goto(f"{stranger.base_url}/page/jobs/{job_id}")
        expect(page.get_by_role("heading", level=1)).to_have_text("No such job")
        assert QUESTIONS[0] not in page.content()


def test_who_is_no_admin_is_told_so(browser: Browser, operated: Running) -> None:
    with visiting(browser, operated.services.http_url) as asker:
        sign_in(asker, "ralf")
        page = asker.page("/page/watch")
        expect(page.get_by_text("This view is for the role admin; yours is ask.")).to_be_visible()
        expect(page.get_by_role("navigation", name="Views").get_by_role("link", name="Watch")).to_be_hidden()


def test_nothing_is_asked_while_nobody_looks(visit: Visit) -> None:
    page = visit.page("/page/watch")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", {configurable: true, get: () => true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_load_state("networkidle")
    with pytest.raises(PlaywrightTimeoutError), page.expect_request("**/queues", timeout=3 * 2000):
        pass
    with page.expect_request("**/queues"):
        page.evaluate(
            """() => {
                Object.defineProperty(document, "hidden", {configurable: true, get: () => false});
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
