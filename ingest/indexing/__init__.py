"""From chunks to the index: vectors, and the order of writing."""
