"""Documents over HTTP: what the routes of documents are made of."""
