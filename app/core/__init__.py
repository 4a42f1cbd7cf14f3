"""What the API, the worker and ingest share: settings, the queue's contract, errors, logging."""
