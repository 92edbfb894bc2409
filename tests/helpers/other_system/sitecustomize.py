"""Python without what only Linux or POSIX has, for this process and those it starts: put this folder on PYTHONPATH.

Libraries may look into /proc and /sys, and have other ways where these do not exist; our own modules may not.
"""

import builtins
import io
import os
import signal
import sys
import warnings
from typing import Any

POSIX = ("sched_getaffinity", "pread", "preadv", "pwrite", "pwritev", "posix_fallocate", "posix_fadvise")
OURS = ("data_cache", "preprocess", "train", "__main__")

sys.modules["fcntl"] = None  # type: ignore[assignment] # importing it fails, as on Windows
for name in POSIX:
    vars(os).pop(name, None)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "alarm", "pthread_sigmask"):
    vars(signal).pop(name, None)
warnings.filterwarnings("ignore", "only soft file lock is available")  # Windows has a lock of its own


def hiding(opens: Any) -> Any:
    """`opens`, for which /proc and /sys do not exist when our modules ask."""

    def look(path: Any, *arguments: Any, **options: Any) -> Any:
        caller = sys._getframe(1)
        while caller.f_back and str(caller.f_globals.get("__name__")).startswith(("pathlib", "io", "sitecustomize")):
            caller = caller.f_back
        if str(path).startswith(("/proc", "/sys")) and str(caller.f_globals.get("__name__")).startswith(OURS):
            raise FileNotFoundError(2, "hidden by a test", str(path))
        return opens(path, *arguments, **options)

    return look


builtins.open = io.open = hiding(builtins.open)
os.open, os.stat, os.listdir = hiding(os.open), hiding(os.stat), hiding(os.listdir)
