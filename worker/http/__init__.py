"""Connections to the model and to Qdrant, kept for the next request."""
