"""Documents in a browser: sent, followed, found, asked, replaced and deleted."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, Route, expect

from tests.acceptance.conftest import Running, start
from tests.acceptance.page.accessible import assert_accessible
from tests.acceptance.page.restarting import restarting
from tests.support.browser import Visit, visiting
from tests.support.pdfs import make_pdf, scanned_pdf
from tests.support.processes import wait_until

TEXT = "The lighthouse keeper {} counts the ships."
READY_MS = 30_000
"""Far more than a small file takes, on a machine with other work."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service without keys and without a document."""
    started = start(tmp_path_factory.mktemp("shelf"))
    yield started
    assert started.stop() == 0, started.log.read_text()


@pytest.fixture
def visit(browser: Browser, shelf: Running) -> Iterator[Visit]:
    """Somebody at an empty shelf."""
    with shelf.client() as client:
        for one in client.get("/documents", params={"limit": 100}).json()["documents"]:
            client.delete(f"/documents/{one['document_id']}")
    with visiting(browser, shelf.services.http_url) as somebody:
        yield somebody


def pdf(folder: Path, name: str, pages: int = 1) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    return make_pdf(path, [TEXT.format(f"{name} {number}") for number in range(pages)])


def row(page: Page, name: str) -> Locator:
    return page.locator("#rows tr").filter(has=page.get_by_role("link", name=name, exact=True))


def send(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files(paths)


def is_ready(page: Page, name: str) -> None:
    expect(row(page, name).get_by_text("ready")).to_be_visible(timeout=READY_MS)


def test_an_empty_shelf_says_what_to_do_and_a_file_becomes_ready_and_can_be_asked(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit.page("/page/documents")
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    assert_accessible(page)
    send(page, pdf(tmp_path, "log.pdf", pages=3))
    is_ready(page, "log.pdf")
    expect(page.get_by_text("No documents yet.")).to_be_hidden()
    expect(row(page, "log.pdf").locator(".pages")).to_have_text("3")
    row(page, "log.pdf").get_by_role("link", name="Ask log.pdf").click()
    expect(page).to_have_url(re.compile(r"/\?document=[0-9a-f]{32}$"))


def test_a_file_that_cannot_be_read_says_why_and_what_to_do(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    send(page, scanned_pdf(tmp_path / "scan.pdf"))
    failed = row(page, "scan.pdf")
    expect(failed.get_by_text("it may be a scan")).to_be_visible(timeout=READY_MS)
    expect(failed).to_contain_text("Replace it by a file that can be read, or delete it.")
    assert_accessible(page)


def test_what_is_not_taken_says_why_and_the_others_go_on(visit: Visit, tmp_path: Path) -> None:
    visit.refusals_expected = True
    page = visit.page("/page/documents")
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "sound.mp3").write_bytes(b"x")
    (tmp_path / "false.pdf").write_bytes(b"Dear reader, this was never a PDF.")
    send(page, *(tmp_path / name for name in ("empty.pdf", "sound.mp3", "false.pdf")), pdf(tmp_path, "good.pdf"))
    is_ready(page, "good.pdf")
    expect(page.locator("#sent")).to_have_text("3 not taken")
    for name, why in (("empty", "is empty"), ("sound", "none of the kinds"), ("false", "not what its name says")):
        expect(page.locator("#uploads li").filter(has_text=name)).to_contain_text(why)
    assert_accessible(page)
    page.get_by_role("button", name="Dismiss those that failed").click()
    expect(page.locator("#sending")).to_be_hidden()


def test_what_is_too_large_is_not_even_sent(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    expect(page.get_by_text("100 MiB each at most")).to_be_visible()
    page.evaluate("document.querySelector('#drop').dataset.maxMb = '0.001'")
    send(page, pdf(tmp_path, "large.pdf", pages=9))
    expect(page.locator("#uploads")).to_contain_text("It has more than 0.001 MiB. Split it")
    expect(page.get_by_role("button", name="Try again large.pdf")).to_be_hidden()


def test_twenty_at_once_are_all_taken_though_the_service_asks_to_wait(visit: Visit, tmp_path: Path) -> None:
    visit.refusals_expected = True
    page = visit.page("/page/documents")
    refused: list[str] = []

    def at_first(route: Route) -> None:
        """The first three times, as a service that has too much to do, and as one that is away."""
        if route.request.method != "POST" or len(refused) == 3:
            return route.continue_()
        refused.append(route.request.headers["idempotency-key"])
        if len(refused) == 2:
            return route.abort()
        status = 429 if len(refused) == 1 else 503
        return route.fulfill(status=status, headers={"Retry-After": "1"}, json={"detail": "Too many requests."})

    page.route("**/documents", at_first)
    send(page, *(pdf(tmp_path, f"report {number:02}.pdf") for number in range(20)))
    expect(page.locator("#uploads")).to_contain_text("Trying again in 1 s.")
    expect(page.locator("#rows").get_by_text("ready")).to_have_count(20, timeout=READY_MS)
    expect(page.locator("#sending")).to_be_hidden()
    assert len(refused) == 3


def test_a_folder_is_taken_whole_and_two_files_of_one_name_stay_two(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    shelf = tmp_path / "shelf"
    for path in ("a/log.pdf", "b/log.pdf", "chart.pdf", ".hidden/x.pdf"):
        (shelf / path).parent.mkdir(parents=True, exist_ok=True)
        pdf(shelf, path)
    page.locator("#folder").set_input_files(shelf)
    for name in ("shelf - a - log.pdf", "shelf - b - log.pdf", "chart.pdf"):
        is_ready(page, name)
    expect(page.locator("#count")).to_have_text("3 documents")


def test_what_is_dropped_anywhere_on_the_page_is_taken(visit: Visit) -> None:
    page = visit.page("/page/documents")
    expect(page.locator("#drop")).to_be_visible()
    transfer = page.evaluate_handle(
        "() => { const drop = new DataTransfer();"
        "drop.items.add(new File(['The tide is high at noon.'], 'tide.txt', {type: 'text/plain'})); return drop }"
    )
    page.dispatch_event("h1", "drop", {"dataTransfer": transfer})
    is_ready(page, "tide.txt")


def test_an_upload_can_be_stopped_and_leaving_meanwhile_is_warned_of(visit: Visit, tmp_path: Path) -> None:
    visit.refusals_expected = True
    page = visit.page("/page/documents")
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    page.route("**/documents", lambda route: route.fulfill(status=503, headers={"Retry-After": "600"}, json={}))
    send(page, pdf(tmp_path, "long.pdf"))
    expect(page.get_by_role("progressbar", name="Sending long.pdf")).to_be_visible()
    warned: list[str] = []

    def stay(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("heading", name="Documents").click()  # a browser asks only for who has done something
    page.close(run_before_unload=True)
    wait_until(lambda: (page.title(), warned)[1], "the browser asks")
    assert warned == ["beforeunload"]
    page.get_by_role("button", name="Stop long.pdf").click()
    expect(page.locator("#sending")).to_be_hidden()
    expect(page.get_by_text("No documents yet.")).to_be_visible()


def test_indexing_shows_its_pages_and_can_be_stopped(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    told: dict[str, Any] = {"status": "embedding", "pages": 120, "pages_done": 84}
    send(page, pdf(tmp_path, "log.pdf"))
    is_ready(page, "log.pdf")
    stopped: list[str] = []

    def at_work(route: Route) -> None:
        answer = route.fetch()
        body: dict[str, Any] = answer.json()
        for one in body.get("documents", [body]):
            one.update(told)
        route.fulfill(response=answer, json=body)

    def stop(route: Route) -> None:
        stopped.append(route.request.url)
        told.update(status="failed", error={"code": "stopped", "message": "Its indexing was stopped."})
        route.fulfill(json={})

    page.route(re.compile(r"/documents(\?|/[0-9a-f]{32}$)"), at_work)
    page.route("**/jobs/*/cancel", stop)
    expect(row(page, "log.pdf").get_by_role("progressbar", name="84 of 120 pages")).to_be_visible()
    told["pages_done"] = 96
    expect(row(page, "log.pdf")).to_contain_text("96 of 120 pages")
    page.get_by_role("button", name="Stop log.pdf").click()
    expect(row(page, "log.pdf").get_by_text("Its indexing was stopped.")).to_be_visible()
    expect(row(page, "log.pdf").get_by_text("Try it again, or delete it.")).to_be_visible()
    assert len(stopped) == 1


def test_replacing_keeps_the_documents_name_and_place(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    send(page, pdf(tmp_path, "log.pdf"))
    is_ready(page, "log.pdf")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Replace log.pdf").click()
    chooser.value.set_files(pdf(tmp_path, "newer.pdf", pages=4))
    expect(row(page, "log.pdf").locator(".pages")).to_have_text("4", timeout=READY_MS)
    is_ready(page, "log.pdf")
    expect(page.locator("#count")).to_have_text("1 document")


def test_deleting_asks_first_and_only_the_keyboard_is_needed(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    send(page, pdf(tmp_path, "log.pdf"), pdf(tmp_path, "tide.pdf"))
    is_ready(page, "log.pdf")
    is_ready(page, "tide.pdf")
    delete, dialog = page.get_by_role("button", name="Delete log.pdf"), page.get_by_role("dialog")
    for refusal in ("Escape", "Enter"):  # the button that has the focus keeps it
        delete.focus()
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
        if refusal == "Escape":
            assert_accessible(page)
        page.keyboard.press(refusal)
        expect(dialog).to_be_hidden()
        expect(delete).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("log.pdf is removed from answers and from storage.")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(row(page, "log.pdf")).to_have_count(0)
    expect(page.get_by_role("link", name="tide.pdf", exact=True)).to_be_focused()


def test_a_filter_stands_in_the_address_and_a_reload_loses_nothing(visit: Visit, tmp_path: Path) -> None:
    page = visit.page("/page/documents")
    send(page, pdf(tmp_path, "log.pdf"), pdf(tmp_path, "tide.pdf"), scanned_pdf(tmp_path / "scan.pdf"))
    is_ready(page, "log.pdf")
    is_ready(page, "tide.pdf")
    expect(row(page, "scan.pdf").get_by_text("failed", exact=True)).to_be_visible(timeout=READY_MS)
    page.get_by_label("Name").fill("TIDE")
    expect(page.locator("#count")).to_have_text("1 of 3 documents")
    expect(page).to_have_url(re.compile(r"\?name=TIDE$"))
    page.get_by_label("Name").fill("")
    page.get_by_label("State").select_option("failed")
    expect(page).to_have_url(re.compile(r"\?state=failed$"))
    page.reload()
    expect(page.locator("#count")).to_have_text("1 of 3 documents")
    expect(row(page, "scan.pdf")).to_be_visible()
    expect(row(page, "log.pdf")).to_be_hidden()
    page.get_by_label("State").select_option("working")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#count")).to_have_text("3 documents")
    for name in ("log.pdf", "tide.pdf"):
        page.get_by_role("checkbox", name=f"Ask {name}").check()
    href = page.get_by_role("link", name="Ask these 2").get_attribute("href")
    assert href is not None
    assert re.fullmatch(r"/\?document=[0-9a-f]{32}&document=[0-9a-f]{32}", href)


def listed(count: int) -> list[dict[str, Any]]:
    """So many documents, as the service lists them."""
    return [
        {
            "document_id": f"d{number}", "collection": "default", "filename": f"report {number:03}.pdf", "title": "",
            "sha256": "0" * 64, "size_bytes": 1, "media_type": "application/pdf", "status": "indexed", "error": None,
            "pages": 1, "pages_done": 1, "chunks": 1, "missing_pages": [], "job_id": None,
            "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z", "urls": {},
        }
        for number in range(count)
    ]  # fmt: skip


def test_of_many_documents_all_are_listed_and_only_what_changed_is_drawn_again(visit: Visit) -> None:
    documents = listed(250)

    def pages(route: Route) -> None:
        """As GET /documents: a hundred at a time."""
        start = int(dict(parse_qsl(urlsplit(route.request.url).query)).get("cursor", 0))
        end = start + 100
        more = str(end) if end < len(documents) else None
        route.fulfill(json={"documents": documents[start:end], "next_cursor": more})

    page = visit.context.new_page()
    page.route(re.compile(r"/documents\?limit="), pages)
    page.goto(f"{visit.base_url}/page/documents")
    expect(page.locator("#count")).to_have_text("250 documents")
    page.evaluate("for (const row of document.querySelectorAll('#rows tr')) row.dataset.kept = ''")
    page.get_by_role("checkbox", name="Ask report 200.pdf").check()
    documents[200] = {**documents[200], "chunks": 7, "updated_at": "2026-11-21T09:31:00Z"}
    documents[3] = {**documents[3], "pages": 5, "updated_at": "2026-11-21T09:31:00Z"}
    documents.insert(0, {**documents[0], "document_id": "new", "filename": "new.pdf"})
    del documents[10]
    expect(row(page, "new.pdf")).to_be_visible()
    expect(row(page, "report 003.pdf").locator(".pages")).to_have_text("5")
    expect(row(page, "report 009.pdf")).to_have_count(0)
    expect(page.locator("#count")).to_have_text("250 documents")
    assert page.locator("#rows tr[data-kept]").count() == 249
    expect(page.locator("#rows tr").first).to_contain_text("new.pdf")
    expect(page.get_by_role("checkbox", name="Ask report 200.pdf")).to_be_checked()


def test_on_a_phone_nothing_is_cut_off(browser: Browser, visit: Visit, tmp_path: Path) -> None:
    name = f"{'a-very-long-name-of-a-report' * 4}.pdf"
    with visiting(browser, visit.base_url, width=360, height=780, scheme="dark") as somebody:
        page = somebody.page("/page/documents")
        send(page, pdf(tmp_path, name), scanned_pdf(tmp_path / "scan.pdf"))
        is_ready(page, name)
        expect(row(page, "scan.pdf").get_by_text("it may be a scan")).to_be_visible(timeout=READY_MS)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert_accessible(page)


def test_what_comes_and_goes_by_other_ways_is_seen_and_its_name_is_only_text(visit: Visit, shelf: Running) -> None:
    page = visit.page("/page/documents")
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    name = "<script>alert(1)</script><img src=x onerror=alert(1)>.txt"
    with shelf.client() as client:
        sent = client.post("/documents", files={"files": ("x.txt", b"x y")}, params={"collection": "log"}).json()
        expect(row(page, "x.txt")).to_contain_text("log")
        client.delete(f"/documents/{sent['documents'][0]['document_id']}")
        hostile = name.replace("/", "\u2215")  # a name has no path
        client.post("/documents", files={"files": (hostile, b"The tide is high.")})
        is_ready(page, hostile)
        expect(row(page, "x.txt")).to_have_count(0)
    assert page.locator("#rows script, #rows img").count() == 0


def test_an_upload_goes_on_when_the_service_is_back(browser: Browser, tmp_path: Path) -> None:
    with restarting(tmp_path) as service, visiting(browser, service.url, refusals_expected=True) as somebody:
        page = somebody.page("/page/documents")
        expect(page.get_by_text("No documents yet.")).to_be_visible()
        service.stop()
        send(page, pdf(tmp_path, "log.pdf"))
        expect(page.locator("#uploads")).to_contain_text("The service does not answer. Trying again in")
        expect(page.locator("#health")).to_have_text(re.compile(r"^Unavailable since .+, trying again$"))
        service.start()
        is_ready(page, "log.pdf")
        expect(page.locator("#health")).to_have_text("")
        expect(page.locator("#problem")).to_be_hidden()
