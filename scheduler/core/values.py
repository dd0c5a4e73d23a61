"""Values that are made for every run: frozen to the type checker, as quick to make as any object."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(kind: type[T]) -> type[T]:
    """A dataclass whose fields never change; the type checker refuses to assign to them.

    With `frozen=True` each field costs a call when the object is made: a run's Context takes 1.0 us, not 0.2.
    A hash and a repr that Python compiles for each class would be a twentieth of the time of `--status`.
    """
    made: Any = dataclass(slots=True, repr=False)(kind)
    known = fields(made)
    made.__hash__ = _hashing(*(each.name for each in known if each.compare))
    made.__repr__ = _showing(*(each.name for each in known if each.repr))
    return made  # type: ignore[no-any-return]


def _hashing(*names: str) -> Callable[[Any], int]:
    parts: Callable[[Any], Any] = attrgetter(*names) if names else type
    return lambda made: hash(parts(made))


def _showing(*names: str) -> Callable[[Any], str]:
    def text(made: Any) -> str:
        return f"{type(made).__qualname__}({', '.join(f'{name}={getattr(made, name)!r}' for name in names)})"

    return text


def copier(kind: type[T]) -> Callable[[T], Any]:
    """A function that copies a value of this kind; nobody else has the copy yet, so its fields may be set.

    Written out, as dataclasses write their `__init__`: `dataclasses.replace` takes ten times as long.
    """
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    lines = ["def copied(old):", "  new = make(kind)", *(f"  new.{name} = old.{name}" for name in names)]
    written: dict[str, Callable[..., Any]] = {"kind": kind, "make": object.__new__}
    exec("\n".join([*lines, "  return new"]), written)
    return written["copied"]
