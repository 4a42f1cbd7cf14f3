"""The official package for JavaScript in a page, shown by headless Chromium: another origin, so CORS applies."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.acceptance.clients.installed import HERE, RUN_SECONDS, environment, not_installed
from tests.acceptance.clients.openai_node import PACKAGE
from tests.acceptance.clients.page_server import PageServer
from tests.acceptance.clients.report import Report, Target

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PAGE = PageServer(
    {
        "/": HERE / "page" / "index.html",
        "/report.mjs": HERE / "node" / "report.mjs",
        "/openai/": PACKAGE,
    }
)
"""Its origin is one of the service's CORS_ORIGINS."""
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--remote-debugging-port=0",
)  # fmt: skip
"""Without a sandbox, as root has none; and nothing of its own is asked of the network."""


def missing() -> str | None:
    """Why there can be no page."""
    if not _browser():
        return "there is no Chromium here"
    return not_installed(PACKAGE, "openai for JavaScript")


def run(target: Target) -> Report:
    """Everything, in a page of the origin that the service knows."""
    told = told_by_page(target, PAGE.url)
    assert "error" not in told, told
    return Report.model_validate(told["report"])


def told_by_page(target: Target, url: str) -> dict[str, Any]:
    """What the page tells once Chromium has opened it at `url`: a report, or an error. `PAGE` is entered."""
    PAGE.target = target
    with _opened(url):
        return PAGE.wait(RUN_SECONDS)


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def _opened(url: str) -> Iterator[None]:
    browser = _browser()
    assert browser is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # it may write a moment longer
        kept = environment({"HOME": profile, "TMPDIR": profile})
        command = [browser, *OPTIONS, f"--user-data-dir={profile}", url]
        process = subprocess.Popen(command, env=kept, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
