"""Reads the keys of a run that needs something from outside: who says what it cost, and whom it asks."""

from typing import Annotated, Any

from scheduler.agents import FILE, PROGRAMS
from scheduler.schema.table import Table, key
from scheduler.schema.values import InvalidValue, reads, text
from scheduler.system.homes import NAME

SAYS = (*PROGRAMS, FILE)


@reads(type="string", enum=list(SAYS))
def _program(value: Any) -> str:
    """The program whose output says what a run cost."""
    if text(value) not in SAYS:
        raise InvalidValue(f"{value!r} is none of: {', '.join(SAYS)}")
    return str(value)


@reads(type="string", pattern=f"^{NAME.pattern}$")
def _provider(value: Any) -> str:
    """The name of a service: it becomes that of a file."""
    if not NAME.fullmatch(text(value)):
        raise InvalidValue(f"{value!r} is no name of a provider; use a-z, 0-9, _ and -, like anthropic")
    return str(value)


class OutsideTable(Table):
    """The keys of runs that cost money or ask a service."""

    report: Annotated[str, _program] = key("", 'Whose output tells the cost; "file": EXPERIENCE_REPORT.')
    provider: Annotated[str, _provider] = key("", "The service that it calls, such as anthropic.")
