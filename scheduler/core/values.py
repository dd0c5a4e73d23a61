"""Values made for every run: frozen for the type checker, but as fast to make as any object."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(kind: type[T]) -> type[T]:
    """A dataclass whose fields never change; the type checker rejects assignments to them.

    `frozen=True` would cost a call per field of a new object: a run's Context takes 1.0 us instead of 0.2.
    Compiling a hash and a repr for each class would take a twentieth of the time of `--status`.
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
    """A function that copies a value of this kind; the caller alone has the copy and may set its fields.

    Its code is generated, as dataclasses do for `__init__`: `dataclasses.replace` takes ten times as long.
    """
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    lines = ["def copied(old):", "  new = make(kind)", *(f"  new.{name} = old.{name}" for name in names)]
    written: dict[str, Callable[..., Any]] = {"kind": kind, "make": object.__new__}
    exec("\n".join([*lines, "  return new"]), written)
    return written["copied"]
