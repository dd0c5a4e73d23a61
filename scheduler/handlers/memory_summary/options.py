"""The options of `memory_summary`: what its table in the settings may hold."""

from typing import Annotated, Any

from pydantic import Field

from scheduler.schema.table import Table
from scheduler.schema.values import flag, seconds

SHORTEST = 40 * 86400.0  # what is younger may still be part of a week or a month


@seconds().variant
def age(value: Any) -> float:
    """How long something is kept; 0 is for ever."""
    length = seconds()(value)
    return max(length, SHORTEST) if length else 0.0


class Options(Table):
    """The keys of `[tasks.memory_summary]` beside those of every task."""

    llm: Annotated[bool, flag] = Field(True, description="false: quotations, ask no model.")
    prose_time: Annotated[float, seconds(1)] = Field(
        180.0, description="How long one run may wait for prose in all."
    )
    keep_raw: Annotated[float, age] = Field(
        400 * 86400.0, description="Summarised raw days are removed after this; 0: never."
    )
    keep_summaries: Annotated[float, age] = Field(
        3650 * 86400.0, description="Summaries are removed after this; 0: never."
    )
