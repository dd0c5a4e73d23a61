"""The options of `dream_generate`: what its table in the settings may hold."""

from typing import Annotated

from pydantic import Field

from scheduler.handlers.dream_generate.prompt import INSTRUCTIONS
from scheduler.schema.table import Table
from scheduler.schema.values import flag, text, whole


class Options(Table):
    """The keys of `[tasks.dream_generate]` beside those of every task."""

    instructions: Annotated[str, text] = Field(INSTRUCTIONS, description="What stands above the memories.")
    events: Annotated[int, whole(0, 500)] = Field(20, description="How many of the last events it is given.")
    keep: Annotated[int, whole(2, 10_000)] = Field(
        500, description="How many messages dreams.json keeps, the newest."
    )
    llm: Annotated[bool, flag] = Field(True, description="false: only queue the prompt, ask no model.")
