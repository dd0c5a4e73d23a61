"""The options of `heartbeat`: what its table in the settings may hold."""

from dataclasses import dataclass

from scheduler.schema.table import key
from scheduler.schema.values import flag, number, percent, seconds, whole


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.heartbeat]` beside those of every task."""

    disk_warning: float = key(percent, 85.0)
    disk_failure: float = key(percent, 95.0)
    memory_warning: float = key(percent, 90.0)
    memory_failure: float = key(percent, 98.0)
    swap_warning: float = key(percent, 80.0)
    load_warning: float = key(number(), 2.0)  # per processor, over the last five minutes
    load_failure: float = key(number(), 8.0)
    queue_limit: int = key(whole(0, 1_000_000), 500)
    peers: bool = key(flag, True)
    peer_stale: float = key(seconds(1), 3600.0)
