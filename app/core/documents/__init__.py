"""What is known of documents (the catalog, in Valkey) and their files."""
