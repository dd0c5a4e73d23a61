"""The gate as a Python program, LIMIT ADDED PROGRAM ARGUMENT...; see start_gate.py."""

import contextlib
import errno
import os
import resource
import signal
import sys


def main(limit: str, added: str, *argv: str) -> None:
    """Become the program after a line on standard input; exit at end-of-file."""
    while (byte := os.read(0, 1)) != b"\n":
        if not byte:
            os._exit(1)
    if added:  # Python itself adds it where the locale is C
        os.environ.pop(added, None)
    _limit_open_files(limit)
    _restore_signals()
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without a #! line
            _run_by_shell(argv)
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode(errors="replace"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _limit_open_files(limit: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = resource.RLIM_INFINITY if limit == "unlimited" else int(limit)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def _restore_signals() -> None:
    """Restore two signals that Python ignores and that normally end a program."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _run_by_shell(argv: tuple[str, ...]) -> None:
    import shutil

    with contextlib.suppress(OSError):
        os.execv("/bin/sh", ("sh", shutil.which(argv[0]) or argv[0], *argv[1:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
