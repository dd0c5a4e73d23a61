"""Reopens descriptors 0 to 2 when a handler closes them, before another file takes their number."""

import os
import sys
from functools import cache

FIRST = 100  # the copies' numbers start here, out of the way of code that closes the low ones


@cache
def keep() -> dict[int, int]:
    """Copies of the standard streams that are open at the first call."""
    return {number: copy for number in range(3) if (copy := copy_of(number)) is not None}


def put_back() -> None:
    """Reopen the streams that were closed."""
    for number, copy in keep().items():
        if not _is_open(number):
            os.dup2(copy, number)


def copy_of(number: int) -> int | None:
    """A duplicate of this descriptor, None if it is closed."""
    if sys.platform == "win32" or not _is_open(number):
        return None
    import fcntl

    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
