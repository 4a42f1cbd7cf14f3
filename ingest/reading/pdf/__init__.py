"""PDFs: what can be seen on their pages."""
