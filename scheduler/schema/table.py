"""Reads a table of settings into a frozen dataclass and notes all that is wrong with it.

Plain Python on purpose: importing pydantic's models takes 155 ms, half of what `--status` may take in all.
"""

import json
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar, cast

from scheduler.errors import BadSchedule
from scheduler.schema.values import InvalidValue, Reader, kind, reason

T = TypeVar("T")
At = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written: a file (or "environment"), and the keys above the citizen's own in it."""

    file: str
    above: At = ()


class Problems:
    """What is wrong with one citizen's settings, each line with the file and the key it is about."""

    def __init__(self, where: Mapping[At, Source]) -> None:
        self._where = where
        self.found: list[tuple[Source, str]] = []

    def add(self, at: At, text: str) -> None:
        source = self._source(at)
        self.found.append((source, f"{source.file}: {dotted(source.above + at)}: {text}"))

    def files(self, at: At, keys: Iterable[str]) -> str:
        """Where these keys of a table were written."""
        return ", ".join(dict.fromkeys(self._source((*at, key)).file for key in keys))

    def _source(self, at: At) -> Source:
        while at and at not in self._where:
            at = at[:-1]
        return self._where.get(at, Source("defaults"))


def dotted(at: Iterable[str]) -> str:
    """The key as it is written in TOML."""
    return ".".join(part if re.fullmatch(r"[\w-]+", part, re.ASCII) else json.dumps(part) for part in at)


def key(read: Reader, default: Any = None) -> Any:
    """A field of a table: how its value is read, and what it is when nobody sets it."""
    return field(default=default, metadata={"read": read})


@cache
def _readers(shape: Hashable) -> Mapping[str, Reader]:
    return {each.name: each.metadata["read"] for each in fields(cast(Any, shape))}


def readers(shape: type[Any]) -> Mapping[str, Reader]:
    """The keys of this shape, and how the value of each is read."""
    return _readers(cast(Hashable, shape))


def read(
    shape: type[T], table: Mapping[str, Any], at: At, problems: Problems, known: Iterable[str] = ()
) -> T:
    """`table` as a `shape`; what cannot be used is noted and left at its default.

    `known` are further keys that a misspelt one may be near to.
    """
    reads, good = readers(shape), {}
    for name, value in table.items():
        if name not in reads:
            problems.add((*at, name), unknown(name, (*reads, *known)))
            continue
        try:
            good[name] = reads[name](value)
        except (InvalidValue, BadSchedule) as error:
            problems.add((*at, name), reason(value, error))
    try:
        return shape(**good)
    except InvalidValue as error:  # each value is fine, together they are not
        problems.add(at, str(error))
        return shape()


def is_table(value: Any, at: At, problems: Problems) -> dict[str, Any]:
    """`value` if it is a table, else nothing and a problem."""
    if isinstance(value, dict):
        return value
    problems.add(at, f"is {kind(value)}; write it as a table, in [brackets]")
    return {}


def unknown(name: str, known: Iterable[str]) -> str:
    """What to say of a key that does not exist."""
    names = sorted(set(known))
    near = get_close_matches(name, names, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known: {', '.join(names)}"
