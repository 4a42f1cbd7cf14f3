"""What a screen reader's user would stumble over, as axe finds it."""

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page

COLORS = ("color-contrast", "link-in-text-block")
"""Those of axe's rules that a change of colors alone can break."""


def assert_accessible(page: Page, rules: Sequence[str] = ()) -> None:
    """No violation on the page as it is now, of these rules or of all that axe has by itself."""
    options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
    found = Axe().run(page, options=options)
    assert found.violations_count == 0, found.generate_report()
