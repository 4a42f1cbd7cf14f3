"""All that an embedded service has in DATA_DIR, into one file and back."""
