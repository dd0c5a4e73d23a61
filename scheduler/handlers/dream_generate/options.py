"""The options of `dream_generate`: what its table in the settings may hold."""

from dataclasses import dataclass

from scheduler.handlers.dream_generate.prompt import INSTRUCTIONS
from scheduler.schema.table import key
from scheduler.schema.values import flag, text, whole


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.dream_generate]` beside those of every task."""

    instructions: str = key(text, INSTRUCTIONS)
    events: int = key(whole(0, 500), 20)
    keep: int = key(whole(2, 10_000), 500)
    llm: bool = key(flag, True)
