"""How much memory this process has."""

import os
import resource
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes in memory at this moment."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def peak() -> int:
    """The most bytes there have ever been."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
