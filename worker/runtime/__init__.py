"""RQ's workers as threads: how jobs are taken, run, ended and recovered."""
