"""Connections to the model and to Qdrant, one for each thread."""
