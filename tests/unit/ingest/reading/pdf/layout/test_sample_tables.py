"""Every table of the sample documents is read as rows under its header, in the words of the file that draws them."""

from functools import cache

import pytest

from ingest.reading.page import Page
from ingest.reading.pdf.document import PdfDocument
from tests.support import ROOT
from tests.support.sample_documents import DOCUMENTS, Document, Table
from worker.table_rows import row_of

TABLES = [
    pytest.param(document, number, block, id=f"{document.filename}-{number}-{block.head[0]}")
    for document in DOCUMENTS
    for number, blocks in enumerate(document.pages)
    for block in blocks
    if isinstance(block, Table)
]


@cache
def _page(filename: str, number: int) -> Page:
    document = PdfDocument((ROOT / "data" / filename).read_bytes())
    try:
        return document.page(number)
    finally:
        document.close()


@pytest.mark.parametrize(("document", "number", "table"), TABLES)
def test_a_sample_s_table_is_read_as_its_rows_under_its_header(document: Document, number: int, table: Table) -> None:
    page = _page(document.filename, number)
    assert page.text is not None
    rows = "\n".join(map(row_of, (table.head, *table.rows)))
    assert f"\n{rows}\n" in page.text
    assert row_of(table.head) in page.table_headers
    assert row_of(table.head) not in page.headings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.filename)
def test_a_sample_has_no_other_rows(document: Document) -> None:
    for number, blocks in enumerate(document.pages):
        tables = [block for block in blocks if isinstance(block, Table)]
        page = _page(document.filename, number)
        assert page.table_headers == tuple(row_of(table.head) for table in tables)
        rows = sum(1 + len(table.rows) for table in tables)
        assert sum(" | " in line for line in (page.text or "").split("\n")) == rows
