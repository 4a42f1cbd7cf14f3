"""Documents in a browser: sent, followed, found, asked, replaced and deleted."""
