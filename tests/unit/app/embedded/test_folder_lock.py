"""A folder's lock: one holder, and its children."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded.folder_lock import FolderLock


def test_a_folder_is_held_by_one_until_it_lets_go(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.take()
    assert not second.take()
    first.close()
    assert second.take()
    second.close()


def test_who_is_refused_is_told_who_holds_it(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1234567")
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.take()
    assert not second.take()
    assert second.holder() == str(os.getpid())
    first.close()
    second.close()


def test_a_lock_that_nobody_took_has_no_known_holder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    assert lock.holder() == "unknown"
    lock.close()


def test_a_child_that_inherits_it_holds_it_beyond_its_parent(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.take()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[first.fd])
    first.close()
    assert not second.take()
    child.communicate(b"\n")
    assert second.take()
    second.close()


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        FolderLock(tmp_path / "file")
