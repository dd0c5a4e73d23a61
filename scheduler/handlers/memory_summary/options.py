"""The options of `memory_summary`: what its table in the settings may hold."""

from dataclasses import dataclass

from scheduler.schema.table import key
from scheduler.schema.values import flag, seconds

SHORTEST = 40 * 86400.0  # what is younger may still be part of a week or a month


def age(value: object) -> float:
    """How long something is kept; 0 is for ever."""
    length: float = seconds()(value)
    return max(length, SHORTEST) if length else 0.0


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.memory_summary]` beside those of every task."""

    llm: bool = key(flag, True)
    prose_time: float = key(seconds(1), 180.0)
    keep_raw: float = key(age, 400 * 86400.0)
    keep_summaries: float = key(age, 3650 * 86400.0)
