"""The options of `heartbeat`: what its table in the settings may hold."""

from typing import Annotated

from pydantic import Field

from scheduler.schema.table import Table
from scheduler.schema.values import flag, number, percent, seconds, whole

Percent = Annotated[float, percent]
Load = Annotated[float, number()]


class Options(Table):
    """The keys of `[tasks.heartbeat]` beside those of every task."""

    disk_warning: Percent = Field(85.0, description="A fuller disk is a warning; per cent.")
    disk_failure: Percent = Field(95.0, description="A fuller disk is a failure; per cent.")
    memory_warning: Percent = Field(90.0, description="More memory in use is a warning; per cent.")
    memory_failure: Percent = Field(98.0, description="More memory in use is a failure; per cent.")
    swap_warning: Percent = Field(80.0, description="More swap in use is a warning; per cent.")
    load_warning: Load = Field(2.0, description="A higher load is a warning; per processor, over 5 minutes.")
    load_failure: Load = Field(8.0, description="A higher load is a failure; per processor, over 5 minutes.")
    queue_limit: Annotated[int, whole(0, 1_000_000)] = Field(
        500, description="More files than this in tasks/queue are a warning."
    )
    peers: Annotated[bool, flag] = Field(True, description="Whether to look at the other citizens, too.")
    peer_stale: Annotated[float, seconds(1)] = Field(
        3600.0, description="A peer that has not woken for longer is a warning."
    )
