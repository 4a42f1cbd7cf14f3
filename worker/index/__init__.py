"""The vector index: its points, and who writes them."""
