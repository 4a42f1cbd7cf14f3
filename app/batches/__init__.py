"""Batches of OpenAI's Batch API: their lines are read, asked at low priority, and gathered into files."""
