"""Keeps the index in step with folders, of this machine and of stores, for as long as it runs."""
