"""Marks in the text that a loader gives, each before what it is about; `clean` removes them."""

HEADING_MARK = "\x1f"
"""Before a heading's line, while the format is known."""
TABLE_HEADER_MARK = "\x1e"
"""Before the row that names a table's columns."""
