"""The page for a browser: its shell, its static files, and the addresses that they have."""
