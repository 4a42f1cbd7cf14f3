"""How many cores a process may use: the kernel's files as containers of both versions of cgroups show them."""

import os
from pathlib import Path

import pytest

from app.core.cores import usable_cores

MANY = frozenset(range(64))
WAYS: dict[str, tuple[str, dict[str, str], int]] = {
    "no cgroups": ("", {}, 64),
    "version 2, no quota": ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
    "version 2, in a container": ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
    "version 2, a part of a core": ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
    "version 2, a core and a half": ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
    "version 2, more than there are": ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
    "version 2, the one above has less": (
        "0::/pods/one\n", {"pods/cpu.max": "300000 100000\n", "pods/one/cpu.max": "800000 100000\n"}, 3
    ),
    "version 2, a service of systemd": ("0::/system.slice/rag.service\n",
                                        {"system.slice/rag.service/cpu.max": "400000 100000\n"}, 4),
    "version 1": ("4:memory:/\n3:cpu,cpuacct:/docker/x\n0::/\n", {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "250000\n",
                  "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n"}, 3),
    "version 1, seen from within": ("3:cpu:/docker/x\n", {"cpu/cpu.cfs_quota_us": "100000\n",
                                    "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    "version 1, no quota": ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
    "not understood": ("0::/\nx\n", {"cpu.max": "many 0\n"}, 64),
    "a period of nothing": ("0::/\n", {"cpu.max": "100000 0\n"}, 64),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_quota_counts_where_it_is_less_than_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    membership, files, cores = WAYS[way]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: MANY, raising=False)
    (tmp_path / "own").write_text(membership)
    for name, text in files.items():
        file = tmp_path / "cgroups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert usable_cores(tmp_path / "own", tmp_path / "cgroups") == cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_process_that_is_bound_to_a_core_has_one() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert 1 <= usable_cores() <= len(allowed)
