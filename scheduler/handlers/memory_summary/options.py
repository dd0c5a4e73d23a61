"""The options of `memory_summary`: the keys of its table in the settings."""

from typing import Annotated, Any

from scheduler.schema.table import Table, key
from scheduler.schema.values import Flag, seconds

SHORTEST = 40 * 86400.0  # younger files may still belong to an unfinished week or month


@seconds().variant
def age(value: Any) -> float:
    """The time for which something is kept; 0 means forever."""
    length = seconds()(value)
    return max(length, SHORTEST) if length else 0.0


class Options(Table):
    """The keys of `[tasks.memory_summary]` in addition to those of every task."""

    llm: Flag = key(True, "false: quotations, ask no model.")
    prose_time: Annotated[float, seconds(1)] = key(180.0, "How long one run may wait for prose in all.")
    keep_raw: Annotated[float, age] = key(
        400 * 86400.0, "Summarised raw days are removed after this; 0: never."
    )
    keep_summaries: Annotated[float, age] = key(3650 * 86400.0, "Summaries are removed after this; 0: never.")
