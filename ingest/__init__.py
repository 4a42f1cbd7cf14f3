"""Brings the index to match a folder of documents."""
