"""Pages that are read when they are asked for."""

import pytest

from ingest.reading.office.lazy import LazyPages
from ingest.reading.page import Page


def _broken() -> Page:
    raise ValueError("an odd part")


def _large() -> Page:
    raise MemoryError


def test_a_damaged_page_is_told_and_the_others_are_read() -> None:
    pages = LazyPages([lambda: Page("one"), _broken, lambda: Page("three")])
    assert list(pages) == [Page("one"), Page(None, is_damaged=True), Page("three")]


def test_a_page_without_memory_ends_its_reader() -> None:
    with pytest.raises(MemoryError):
        LazyPages([_large])[0]


def test_a_part_of_them_is_as_lazy() -> None:
    assert [page.text for page in LazyPages([_large, lambda: Page("two")])[1:]] == ["two"]
