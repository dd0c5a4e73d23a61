"""Values that are made for every run: frozen to the type checker, as quick to make as any object."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(kind: type[T]) -> type[T]:
    """A dataclass that nobody may assign to: mypy sees to that.

    What `frozen=True` does at run time costs 2.2 us more for the 16 fields of a task's state.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)
