"""Reads the times of a task or the wake: cron expression, zone, active hours."""

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Any

from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Cron, Every, Schedule, local_zone, parse, zone_named
from scheduler.schema.table import At, Problems, Table, key
from scheduler.schema.values import InvalidValue, reads, text


@reads(type="string")
def cron_text(value: Any) -> str:
    """A cron expression or a macro."""
    expression = text(value).strip()
    fields = re.sub(r"^(CRON_)?TZ=\S+", "", expression).split()
    if len(fields) not in (5, 6) and not expression.startswith("@"):
        raise InvalidValue(
            f"{value!r} does not have the five fields of cron (or six, seconds first); "
            "an interval goes with every"
        )
    if isinstance(parse(expression, UTC), Every):
        raise InvalidValue(f"{value!r} is an interval; that goes with every")
    return expression


@reads(type="string")
def zone(value: Any) -> tzinfo:
    return zone_named(text(value))


@reads(type="string")
def hours_text(value: Any) -> str:
    """Active hours."""
    return ActiveHours(text(value)).text


@zone.variant
def zone_as_written(value: Any) -> str:
    """The zone as written, checked, for a table that is merged with others before it is read."""
    zone_named(name := text(value))
    return name


class Times(Table):
    """The keys that say at which times."""

    cron: Annotated[str | None, cron_text] = key(None, 'Five fields of cron, or "@daily" and the like.')
    timezone: Annotated[tzinfo | None, zone] = key(
        None, 'The zone of cron and active, such as "Europe/Berlin".'
    )
    active: Annotated[str | None, hours_text] = key(
        None, 'The hours in which it may start: "mon-fri 08:00-18:00".'
    )


def cron_schedule(
    table: Times, given: Mapping[str, Any], usual: tzinfo | None, at: At, problems: Problems
) -> Schedule | None:
    """The schedule of `cron`, in the `usual` zone if the table names none.

    None if there is no `cron`, or it cannot be used.

    Raises BadSchedule if it needs the machine's own time zone and that is unknown.
    """
    if "every" in given and "cron" in given:
        problems.add(at, "has both every and cron; keep one of them")
    elif "timezone" in given and not {"cron", "active"} & given.keys():
        problems.add((*at, "timezone"), "goes with cron or active; an interval needs none")
    elif table.cron is not None:
        return parse(table.cron, table.timezone or usual)
    return None


def active_hours(table: Times, schedule: Schedule | None, usual: tzinfo | None) -> ActiveHours | None:
    """The hours of `active`, in the schedule's zone, or else the `usual` one.

    Raises BadSchedule if they need the machine's own time zone and that is unknown.
    """
    if table.active is None:
        return None
    own = schedule.zone if isinstance(schedule, Cron) else table.timezone or usual
    return ActiveHours(table.active, own or local_zone())
