"""Markdown as it is shown."""
