"""Slides, sheets, books, mails and rich text: a reader for each, from bytes to pages. What is hidden stays out."""
