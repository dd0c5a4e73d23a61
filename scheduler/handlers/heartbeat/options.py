"""The options of `heartbeat`: the keys of its table in the settings."""

from typing import Annotated

from scheduler.schema.table import Table, key
from scheduler.schema.values import Flag, integer, number, percent, seconds

Percent = Annotated[float, percent]
Load = Annotated[float, number]


class Options(Table):
    """The keys of `[tasks.heartbeat]` in addition to those of every task."""

    disk_warning: Percent = key(85.0, "A fuller disk is a warning; per cent.")
    disk_failure: Percent = key(95.0, "A fuller disk is a failure; per cent.")
    memory_warning: Percent = key(90.0, "More memory in use is a warning; per cent.")
    memory_failure: Percent = key(98.0, "More memory in use is a failure; per cent.")
    swap_warning: Percent = key(80.0, "More swap in use is a warning; per cent.")
    load_warning: Load = key(2.0, "A higher load is a warning; per processor, over 5 minutes.")
    load_failure: Load = key(8.0, "A higher load is a failure; per processor, over 5 minutes.")
    queue_limit: Annotated[int, integer(0, 1_000_000)] = key(
        500, "More files than this in tasks/queue are a warning."
    )
    peers: Flag = key(True, "Whether to look at the other citizens, too.")
    peer_stale: Annotated[float, seconds(1)] = key(
        3600.0, "A peer that has not woken for longer is a warning."
    )
