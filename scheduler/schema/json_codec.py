"""Dataclasses to JSON values and back, by their type hints; everything read is checked.

    to_json(view)                       {"name": "tick", "kind": "ok"}
    from_json(TaskView, {"kind": 7})    raises InvalidJson: kind: expected one of ok, ..., not 7

`to_json` leaves out every field that has its default. `from_json` ignores keys that the class lacks: a
newer version may send them. Hints may be made of str, int, float, bool, Any, enums, dataclasses, `X | None`,
`tuple[X, ...]`, `frozenset[X]`, `dict[str, X]` and `Mapping[str, X]`.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")
Reader = Callable[[Any], Any]

_SCALARS: Mapping[Any, str] = {str: "text", int: "a whole number", bool: "true or false"}


class InvalidJson(ValueError):
    """A JSON value does not match its type hint; the text names the place and what belongs there."""


def to_json(value: Any) -> Any:
    """The value in a form that `json.dumps` takes."""
    if hasattr(value, "__dataclass_fields__"):
        kind: Any = type(value)
        given = [(name, getattr(value, name), default) for name, default in _defaults(kind)]
        return {name: to_json(item) for name, item, default in given if item != default}
    if isinstance(value, tuple | frozenset):
        return [to_json(item) for item in value]
    return {key: to_json(item) for key, item in value.items()} if isinstance(value, dict) else value


def from_json(kind: type[Value], raw: Any) -> Value:
    """The value of type `kind` that `raw` describes; raises InvalidJson."""
    hint: Any = kind
    found: Value = reader(hint)(raw)
    return found


@cache
def reader(hint: Any) -> Reader:
    """The function that reads values of this type hint; that function raises InvalidJson."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _scalar(hint, _SCALARS[hint])
    if hint is float:
        return _number
    if origin in (Union, UnionType):
        (inner,) = (reader(each) for each in arguments if each is not NoneType)
        return lambda raw: None if raw is None else inner(raw)
    if origin in (tuple, frozenset):
        return _sequence(origin, reader(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(reader(arguments[1]))
    if is_dataclass(hint):
        return _record(hint)
    return _member(hint) if isinstance(hint, type) and issubclass(hint, Enum) else lambda raw: raw


def _scalar(hint: type, name: str) -> Reader:
    def read(raw: Any) -> Any:
        if type(raw) is hint:  # not isinstance: True is an int, too
            return raw
        raise _unexpected(name, raw)

    return read


def _number(raw: Any) -> float:
    if type(raw) in (float, int) and abs(raw) <= sys.float_info.max:  # json also reads NaN and Infinity
        return float(raw)
    raise _unexpected("a number", raw)


def _sequence(make: type, item: Reader) -> Reader:
    def read(raw: Any) -> Any:
        if not isinstance(raw, list):
            raise _unexpected("a list", raw)
        return make(map(item, raw))

    return read


def _mapping(item: Reader) -> Reader:
    def read(raw: Any) -> Any:
        if not isinstance(raw, dict):
            raise _unexpected("an object", raw)
        return {key: item(value) for key, value in raw.items()}

    return read


def _record(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = {name: reader(hints[name]) for name, _ in _defaults(kind)}
    required = {name for name, default in _defaults(kind) if default is MISSING}

    def read(raw: Any) -> Any:
        if not isinstance(raw, dict):
            raise _unexpected("an object", raw)
        if missing := required - raw.keys():
            raise InvalidJson(f"{min(missing)} is missing")
        values = {}
        for name, value in raw.items():
            if name in readers:
                try:
                    values[name] = readers[name](value)
                except InvalidJson as error:
                    raise InvalidJson(f"{name}: {error}") from None
        return kind(**values)

    return read


def _member(kind: type[Enum]) -> Reader:
    def read(raw: Any) -> Any:
        try:
            return kind(raw)
        except ValueError:
            raise _unexpected(f"one of {', '.join(str(each.value) for each in kind)}", raw) from None

    return read


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Each field with its default, or MISSING if it has none."""
    return tuple(
        (each.name, each.default if each.default_factory is MISSING else each.default_factory())
        for each in fields(kind)
    )


def _unexpected(expected: str, raw: Any) -> InvalidJson:
    return InvalidJson(f"expected {expected}, not {shortened(raw)}")


def shortened(raw: object) -> str:
    """The value for an error message."""
    text = repr(raw)
    return text if len(text) <= 40 else text[:39] + "…"
