"""Runs experience-tui as another user: started by root, it gives its rights away once everything is loaded.

What is installed may lie where that user cannot read, so nothing may be imported afterwards.
"""

import ctypes  # noqa: F401  # loaded late by the scheduler
import encodings
import importlib
import os
import pkgutil
import sys

import filelock  # noqa: F401  # as above
import psutil  # noqa: F401  # as above

import scheduler
from scheduler.cli.main import run
from tui.__main__ import monitor


def main() -> None:
    """`python -m tests.integration.as_user UID GID[,GID...] WORD...`"""
    for name in ("utf_8_sig", "idna", "ascii", "latin_1"):
        importlib.import_module(f"{encodings.__name__}.{name}")
    for module in pkgutil.walk_packages(scheduler.__path__, "scheduler."):
        importlib.import_module(module.name)
    uid, groups = int(sys.argv[1]), [int(number) for number in sys.argv[2].split(",")]
    os.setgroups(groups)
    os.setgid(groups[0])
    os.setuid(uid)
    raise SystemExit(run(monitor, sys.argv[3:], "experience-tui"))


if __name__ == "__main__":
    main()
