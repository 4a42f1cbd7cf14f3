"""How many cores this process may use: those that it may run on, and no more than its cgroup's quota.

A container that may use two cores of a machine's 64 sees all of them; its quota stands in cgroup's own files
(`cpu.max` of version 2, `cpu.cfs_quota_us` of version 1: the kernel's admin-guide, cgroup-v2 and sched-bwc).
"""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(membership: Path = MEMBERSHIP, cgroups: Path = CGROUPS) -> int:
    """At least 1. A part of a core counts as one: a process that works on it is one more than none."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(ceil, _quotas(membership, cgroups))]))


def _quotas(membership: Path, cgroups: Path) -> Iterator[float]:
    """In cores: each quota that stands above this process. None where there are no cgroups."""
    for line in _text(membership).splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:
            for folder in _folders(cgroups, path):
                yield from _cores(_text(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for folder in _folders(cgroups / controllers, path):
                quota = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
                yield from _cores([word for text in quota for word in text.split()])


def _folders(root: Path, path: str) -> Iterator[Path]:
    """The folder of the cgroup `path` and those above it; what is not there has no quota."""
    inside = PurePosixPath(path.strip("/"))
    for each in (inside, *inside.parents):
        yield root / each


def _cores(quota: list[str]) -> Iterator[float]:
    """From microseconds of work in so many microseconds; "max" and -1 are no quota."""
    match quota:
        case [work, period] if work.isdecimal() and period.isdecimal() and int(period):
            yield int(work) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
