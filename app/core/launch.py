"""Runs a command that ends when its parent does: `python launch.py COMMAND ...` becomes COMMAND.

What it writes is for its own user alone.

A service that `python -m app` started must not outlive it, even when it is killed. Linux tells a child of its
parent's death; elsewhere the children hold DATA_DIR's lock, and the next start says so. Run by its path and with
`-S -E`, this costs some milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From Linux's sys/prctl.h."""
OTHERS = 0o077
"""As `app.core.private_files` has it: run by its path, this can import nothing of ours."""

if sys.platform == "linux":
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)
os.umask(OTHERS)
os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  no shell is meant
