"""How much memory and CPU a process has taken."""

import os
import resource
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int | str = "self") -> int:
    """Bytes in memory at this moment."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def cpu_of(pid: int) -> float:
    """Seconds of CPU that all its threads have used, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def peak() -> int:
    """The most bytes there have ever been."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
