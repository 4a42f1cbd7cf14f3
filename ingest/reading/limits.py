"""What one file may cost: a file is hostile, and its reader runs within these."""

FILE_BYTES_MAX = 256 * 1024 * 1024
"""The reader holds a file in memory whole, within its own limit. 10-K filings have about 3 MiB."""
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""Address space of the child that reads, so more than its memory; 10-K filings of 200 to 420 pages take a third."""
PAGES_MAX = 20_000
"""The largest manuals have some thousands; a page tree that claims more is made to keep us busy."""
PAGE_CHARACTERS_MAX = 1_000_000
"""The densest page of our 10-K filings holds 10,104; the rest of a longer page is cut."""
PICTURE_BYTES_MAX = 14_000_000
"""Of a page's picture as a PNG: a photograph that fills the page at the greater width."""
PAGE_LABEL_CHARACTERS_MAX = 100
"""Of what a document calls a page: "A-3", or a sheet's name."""
DOCUMENT_CHARACTERS_MAX = 20_000_000
"""Some 6,000 pages of a 10-K filing (3,400 each). A document's text is held in memory whole."""

PAGE_SECONDS_MAX = 15.0
"""The slowest honest page known took eight. One that takes longer is left out, and the child with it."""
DOCUMENT_SECONDS = 20.0
"""Of a child's time, for opening a document and for its slow pages ..."""
SECONDS_A_PAGE = 0.1
"""... and more for each page that was read, ten times what a slow core needs ..."""
DOCUMENT_SECONDS_MAX = 120.0
"""... but no more than this: 12,000 pages at the 100 pages/s of a slow core."""
CHILDREN_LOST_MAX = 2
"""A document that brings down more is read no further."""
