"""The base class of all settings models, and readable messages for pydantic's errors."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scheduler.errors import nearest
from scheduler.schema.values import InvalidValue, Reader, reason, type_name

T = TypeVar("T", bound="Table")
At = tuple[str, ...]
Nested = Mapping[str, Any] | None  # a table to be read later


class Table(BaseModel):
    """A table of the settings: its keys, their defaults, and by `Reader` how each is read."""

    # Built on first use: a table that is not set costs nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True)


def key(default: Any, about: str) -> Any:
    """A key of a table, with its default, and its meaning for editors."""
    return Field(default, description=about)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value is set: a file (or "environment"), and the keys above the citizen's own there."""

    file: str
    above: At = ()


class Problems:
    """The problems of one citizen's settings, each line with the file and the key."""

    def __init__(self, where: Mapping[At, Source], hide: Callable[[str], str] = str) -> None:
        self._where, self._hide = where, hide
        self.found: list[tuple[Source, str]] = []
        self.refused: list[str] = []  # lines on tasks that do not run; the others do

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.found]

    def add(self, at: At, text: str) -> None:
        self.found.append((self._source(at), self._line(at, text)))

    def refuse(self, at: At, text: str) -> None:
        self.refused.append(self._line(at, text))

    def files(self, at: At, keys: Iterable[str]) -> str:
        """The files that set these keys of a table."""
        return ", ".join(dict.fromkeys(self._source((*at, key)).file for key in keys))

    def _line(self, at: At, text: str) -> str:
        source = self._source(at)
        return f"{source.file}: {dotted(source.above + at)}: {self._hide(text)}"

    def _source(self, at: At) -> Source:
        while at and at not in self._where:
            at = at[:-1]
        return self._where.get(at, Source("defaults"))


def dotted(at: Iterable[str]) -> str:
    """The key as written in TOML."""
    return ".".join(part if re.fullmatch(r"[\w-]+", part, re.ASCII) else json.dumps(part) for part in at)


def read(
    shape: type[T], table: Mapping[str, Any], at: At, problems: Problems, known: Iterable[str] = ()
) -> T:
    """`table` as a `shape`; invalid values are reported and keep their defaults.

    `known` are further keys to suggest for a misspelt one.
    """
    rest = dict(table)
    while rest:
        try:
            return shape.model_validate(rest)
        except ValidationError as error:
            wrong = {each["loc"][:1]: each for each in error.errors(include_url=False)}
        for name in [name for name in table if (name,) in wrong]:
            mistake, value = wrong.pop((name,)), rest.pop(name)
            if mistake["type"] == "extra_forbidden":
                problems.add((*at, name), unknown(name, (*shape.model_fields, *known)))
            else:
                problems.add((*at, name), reason(value, mistake["ctx"]["error"]))
        for together in wrong.values():  # each value is valid alone, but not with the others
            problems.add(at, str(together["ctx"]["error"]))
            rest = {}
    return cast(T, shape.model_construct())  # nothing is set, so the model is not built


def is_table(value: Any, at: At, problems: Problems) -> dict[str, Any]:
    """`value` if it is a table; otherwise an empty one, and a problem."""
    try:
        return a_table(value)
    except InvalidValue as error:
        problems.add(at, str(error))
        return {}


def a_table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidValue(f"is {type_name(value)}; write it as a table, in [brackets]")
    return value


def table_of(shape: "type[Table]") -> Reader[dict[str, Any]]:
    """A reader for a table whose keys are read later, with the JSON Schema of this shape."""

    def schema(handler: Any) -> dict[str, Any]:
        shape.model_rebuild()
        found: dict[str, Any] = handler(shape.__pydantic_core_schema__)
        return found

    return Reader(a_table, schema)


def unknown(name: str, known: Iterable[str]) -> str:
    """The message for an unknown key."""
    names = sorted(set(known))
    near = nearest(name, names)
    return f"unknown key; did you mean {near}?" if near else f"unknown key; known: {', '.join(names)}"
