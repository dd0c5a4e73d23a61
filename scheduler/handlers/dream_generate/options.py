"""The options of `dream_generate`: the keys of its table in the settings."""

from typing import Annotated

from scheduler.handlers.dream_generate.prompt import INSTRUCTIONS
from scheduler.schema.table import Table, key
from scheduler.schema.values import Flag, Text, integer


class Options(Table):
    """The keys of `[tasks.dream_generate]` in addition to those of every task."""

    instructions: Text = key(INSTRUCTIONS, "What stands above the memories.")
    events: Annotated[int, integer(0, 500)] = key(20, "How many of the last events it is given.")
    keep: Annotated[int, integer(2, 10_000)] = key(500, "How many messages dreams.json keeps, the newest.")
    llm: Flag = key(True, "false: only queue the prompt, ask no model.")
