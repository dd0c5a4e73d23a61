"""heartbeat: the machine's disk, memory and load against limits, and whether the peers are awake."""

from dataclasses import dataclass

from ..model import Context, Report
from ..tables import key, percent


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.heartbeat]` beside those of every task."""

    disk_warning: float = key(percent, 85.0)


async def heartbeat(ctx: Context) -> str | Report:
    return ""
