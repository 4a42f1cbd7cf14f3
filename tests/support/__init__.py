"""What tests and benchmarks share: the stand-in model server and the makers of PDFs."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""
