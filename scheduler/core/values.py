"""Values that are made for every run: frozen to the type checker, as quick to make as any object."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(kind: type[T]) -> type[T]:
    """A dataclass whose fields never change; the type checker refuses to assign to them.

    With `frozen=True` each field costs a call when the object is made: a run's Context takes 1.0 us, not 0.2.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


def copier(kind: type[T]) -> Callable[[T], Any]:
    """A function that copies a value of this kind; nobody else has the copy yet, so its fields may be set.

    Written out, as dataclasses write their `__init__`: `dataclasses.replace` takes ten times as long.
    """
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    lines = ["def copied(old):", "  new = make(kind)", *(f"  new.{name} = old.{name}" for name in names)]
    written: dict[str, Callable[..., Any]] = {"kind": kind, "make": object.__new__}
    exec("\n".join([*lines, "  return new"]), written)
    return written["copied"]
