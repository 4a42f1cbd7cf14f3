"""`python -m ingest`: what is on disk against what is indexed, the plan, and its run."""
