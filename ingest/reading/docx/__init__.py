"""Reads .docx: what Word shows of it, as text."""
