"""What a screen reader's user would stumble over, as axe finds it."""

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page


def assert_accessible(page: Page) -> None:
    """No violation on the page as it is now."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
