"""The browser of the page is one that keeps pages apart: without CORS_ORIGINS the same page sees nothing."""

import pytest

from tests.acceptance.clients import browser
from tests.acceptance.clients.report import Target


def test_the_same_page_of_another_origin_sees_nothing(target: Target) -> None:
    if reason := browser.missing():
        pytest.skip(reason)
    told = browser.told_by_page(target, browser.PAGE.url.replace("127.0.0.1", "localhost"))
    assert "Connection error" in told["error"]
