"""From pages to chunks."""
