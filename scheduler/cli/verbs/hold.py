"""Until when and why something is held: options of pause and freeze."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.options import seconds
from scheduler.core.schedules.schedule import local_zone, zone_named
from scheduler.core.schedules.until import moment_from
from scheduler.errors import BadSchedule

if TYPE_CHECKING:
    from datetime import tzinfo

    from scheduler.control.member import LocalControl


@dataclass(frozen=True, slots=True)
class HoldOptions:
    """What was typed; `length` is in seconds."""

    end: str | None
    length: float | None
    why: str

    def until(self, now: float, zone: "tzinfo") -> float | None:
        """When it ends; None if only a person lifts it. Raises BadSchedule."""
        if self.end is not None and self.length is not None:
            raise click.UsageError("--until and --for exclude each other")
        if self.length is not None:
            return now + self.length
        return None if self.end is None else moment_from(self.end, now, zone)


def hold_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--until, --for and --why, as `end`, `length` and `why`."""
    for option in (
        click.option("--why", metavar="TEXT", default="", help="Shown wherever it is."),
        click.option("--for", "length", callback=seconds, metavar="TIME", help="How long: 2h, 30m."),
        click.option("--until", "end", metavar="TIME", help="When it ends by itself: 08:00, mon 9:00."),
    ):
        command = option(command)
    return command


def zone_of(control: "LocalControl") -> "tzinfo":
    """The zone of the citizen's owner."""
    try:
        return zone_named(control.snapshot().zone)
    except BadSchedule:  # it is owned here, or its owner has not said
        return local_zone()
