"""The descriptors 0 to 2: those that a handler closes are opened again, before a file takes their number."""

import os
import sys
from functools import cache

FIRST = 100  # the copies' numbers start here, out of the way of code that closes the low ones


@cache
def keep() -> dict[int, int]:
    """A copy of each that is open at the first call."""
    return {number: copy for number in range(3) if (copy := copy_of(number)) is not None}


def put_back() -> None:
    """Open those again that were closed."""
    for number, copy in keep().items():
        if not _is_open(number):
            os.dup2(copy, number)


def copy_of(number: int) -> int | None:
    """Another number for what is open there, if anything is."""
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
