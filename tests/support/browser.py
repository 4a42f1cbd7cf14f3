"""A real browser: Debian's Chromium, driven by Playwright; and what went wrong in it that nobody would see.

python -m tests.support.browser    installs it where apt-get can
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--no-proxy-server", "--disable-dev-shm-usage"]
"""A container has no sandbox of the kind and little shared memory, and a proxy is for other tests."""
MISSING = "there is no Chromium: apt-get install chromium"
REFUSED = "Failed to load resource"
"""How Chromium says, as an error, that an answer's status was 400 or more, or that there was none."""


def chromium() -> str | None:
    """The browser's path, where there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Visit:
    """One person's browser: an own context, in which every page is watched."""

    context: BrowserContext
    base_url: str
    refusals_expected: bool = False
    """Whether the test itself makes the service refuse or go away."""
    faults: list[str] = field(default_factory=list)

    def page(self, path: str = "/") -> Page:
        """A new tab at this path."""
        page = self.context.new_page()
        page.goto(self.base_url + path)
        return page

    def watch(self, page: Page) -> None:
        """Note what goes wrong on the page."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error" or (self.refusals_expected and message.text.startswith(REFUSED)):
            return
        self.faults.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and not request.url.startswith(
            self.base_url
        ):
            self.faults.append(f"request to another host: {request.url}")


@contextmanager
def visiting(
    browser: Browser,
    base_url: str,
    *,
    width: int = 1440,
    height: int = 900,
    scheme: Literal["light", "dark"] = "light",
    refusals_expected: bool = False,
) -> Iterator[Visit]:
    """Somebody with a browser of this size. Fails at the end for any error in the console, or request elsewhere."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    visit = Visit(context, base_url, refusals_expected)
    context.on("page", visit.watch)
    try:
        yield visit
        assert visit.faults == []
    finally:
        context.close()


needs_chromium = pytest.mark.skipif(chromium() is None, reason=MISSING)


def install() -> int:
    """Exit code: always 0, since tests that need it say that it is missing."""
    if chromium() is None and shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                check=False,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
    sys.stdout.write(f"tests of the page: {chromium() or MISSING}\n")
    return 0


if __name__ == "__main__":
    sys.exit(install())
