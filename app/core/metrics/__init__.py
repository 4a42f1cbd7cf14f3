"""Numbers for Prometheus: their families, their buckets, and the page on a port of a process's own."""

from collections.abc import Mapping
from typing import Any

Report = tuple[bool, Mapping[str, Any]]
"""How a process does, beside its numbers: whether all is well, and what there is to say of it."""
