"""Lays settings of one citizen over each other: environment over its own file over the main file."""

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.schema.table import At, Source

Layer = tuple[Mapping[str, Any], Source]

# A key in a higher layer replaces these in lower ones: they answer the same question.
_REPLACES: Mapping[str, At] = {
    "every": ("cron", "timezone"),
    "cron": ("every",),
    "command": ("handler", "isolated"),
    "handler": ("command", "input", "environment", "inherit_environment", "working_folder"),
    "url": ("key",),  # the key of one server must not reach another
}


def lay(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[At, Source]]:
    """One table out of `layers`, lowest first, and for every key in it where it was written."""
    table: dict[str, Any] = {}
    where: dict[At, Source] = {}
    for layer, source in layers:
        where[()] = source
        _over(table, layer, (), source, where)
    return table, where


def _over(
    low: dict[str, Any], high: Mapping[str, Any], at: At, source: Source, where: dict[At, Source]
) -> None:
    for name, value in high.items():
        if _is_choice(at):
            _drop(low, [rival for rival in _REPLACES.get(name, ()) if rival not in high])
        where[(*at, name)] = source
        if isinstance(value, dict):
            below = low.get(name)
            low[name] = below = below if isinstance(below, dict) else {}
            _over(below, value, (*at, name), source, where)
        else:
            low[name] = value


def _is_choice(at: At) -> bool:
    return at in (("wake",), ("llm",)) or (len(at) == 2 and at[0] == "tasks")


def _drop(table: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        table.pop(name, None)
