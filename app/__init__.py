"""The HTTP API, and the kernel (`app.core`) that it shares with the worker and ingest."""
