"""One file a revision, the number of which is also its id."""
