"""What a task is, in words that anybody may read: made where the task is owned, secrets masked there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DefinitionField:
    """A line about a task; `usual` when nobody has set it."""

    label: str
    words: str
    usual: bool = False


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """A task's definition and when its schedule wants it next (Unix seconds)."""

    task: str
    facts: tuple[DefinitionField, ...] = ()
    options: tuple[DefinitionField, ...] = ()
    upcoming: tuple[float, ...] = ()
