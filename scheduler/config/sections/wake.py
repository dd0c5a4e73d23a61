"""Reads the table [wake]: when a citizen wakes, what the wake runs, and its gate."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import tzinfo
from typing import Annotated, Any

from scheduler.config.run_table import RunTable, pause_after
from scheduler.config.sections.services import SHORTEST
from scheduler.config.task import explicit_work
from scheduler.config.times import active_hours, cron_schedule
from scheduler.core.schedules.schedule import AtStart, Cron, Every
from scheduler.core.secrets import holds_sensitive
from scheduler.core.task import NO_COMMAND, Command, Gate, WakeTask, Work
from scheduler.errors import BadSchedule
from scheduler.schema.table import At, Problems, key, read
from scheduler.schema.values import InvalidValue, argv_of, listed, reads, reads_list, reason, seconds, text


@reads(anyOf=[{"enum": ["news"]}, {"type": "array", "items": {"type": "string"}, "minItems": 1}])
def _gate(value: Any) -> tuple[str, ...]:
    """The gate, which decides whether a wake is worth its cost; empty stands for "news"."""
    if value == "news":
        return ()
    if isinstance(value, str):
        raise InvalidValue(f'{value!r} is no gate; write "news", or a command as a list')
    return argv_of(value)


@reads_list()
def _below(value: Any) -> tuple[str, ...]:
    """Paths inside the home."""
    found = tuple(text(each).strip().rstrip("/") for each in listed(value, '["notes/"]'))
    for each in found:
        if not each or each.startswith(("/", "~")) or ".." in each.split("/") or "." in each.split("/"):
            raise InvalidValue(f"{each!r} is no path in the home; write it from there, like notes/")
    return found


class WakeTable(RunTable):
    """The keys of `[wake]`."""

    every: Annotated[float, seconds(SHORTEST)] = key(600.0, "The time from wake to wake.")
    patience: Annotated[float, seconds()] = key(300.0, "How long a wake waits for due tasks.")
    timeout: Annotated[float, seconds(0.001)] = key(3600.0, "How long the turn may take.")
    urgent_cooldown: Annotated[float, seconds()] = key(600.0, "Least time between urgent wakes.")
    gate: Annotated[tuple[str, ...] | None, _gate] = key(None, '"news", or a command: whether to wake.')
    gate_paths: Annotated[tuple[str, ...], _below] = key((), "Paths in the home whose changes are news.")
    gate_at_most: Annotated[float | None, seconds(1.0)] = key(None, "Wake anyway after so long.")


def wake_of(raw: Mapping[str, Any], home: str, usual: tzinfo | None, problems: Problems) -> WakeTask:
    """The citizen's wake; problems are noted.

    `usual` is the time zone if the table names none.
    """
    at = ("wake",)
    table = read(WakeTable, raw, at, problems)
    work = explicit_work(table, home, at, problems)
    cron = hours = None
    try:
        cron = cron_schedule(table, raw, usual, at, problems)
        hours = active_hours(table, cron, usual)
    except BadSchedule as error:  # a wake at other times would cost money: the whole citizen waits
        asks = "cron" if table.cron else "active"
        problems.add((*at, asks), reason(raw[asks], error))
    if isinstance(cron, AtStart):
        problems.add((*at, "cron"), "@reboot is for tasks; give the wake the five fields of cron, or every")
    return WakeTask(
        schedule=cron if isinstance(cron, Cron) else Every(table.every),
        work=work or NO_COMMAND,
        active=hours,
        hidden=frozenset(k for k, value in raw.items() if holds_sensitive(value)),
        gate=_gate_of(table, raw, work, at, problems),
        source=problems.files(at, raw),
        pause_after=pause_after(table, at, problems),
        **{name: getattr(table, name) for name in _SAME},
    )


_SAME = WakeTable.model_fields.keys() & {each.name for each in fields(WakeTask)} - {"gate", "active"}


def _gate_of(
    table: WakeTable, raw: Mapping[str, Any], work: Work | None, at: At, problems: Problems
) -> Gate | None:
    """The gate; None if none is set. Problems are noted."""
    if table.gate is None:
        for name in ("gate_paths", "gate_at_most"):
            if name in raw and "gate" not in raw:
                problems.add((*at, name), 'goes with gate; add gate = "news" or gate = ["command"]')
        return None
    if work is None:
        problems.add((*at, "gate"), "goes with command or handler; a wake that runs nothing costs nothing")
    if table.gate and table.gate_paths:
        problems.add((*at, "gate_paths"), 'goes with gate = "news"; a command looks for itself')
    given = replace(work, argv=table.gate) if isinstance(work, Command) else Command(table.gate)
    return Gate(given if table.gate else None, table.gate_paths, table.gate_at_most)
