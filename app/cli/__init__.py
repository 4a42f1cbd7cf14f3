"""The commands of `python -m app` that talk to a running service."""
