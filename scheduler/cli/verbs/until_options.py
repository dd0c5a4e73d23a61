"""The options of pause and freeze: until when, and why."""

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
class UntilOptions:
    """The options as typed; `length` is in seconds."""

    end: str | None
    length: float | None
    why: str

    def until(self, now: float, zone: "tzinfo") -> float | None:
        """The end; None if only a person lifts the hold. Raises BadSchedule."""
        if self.end is not None and self.length is not None:
            raise click.UsageError("--until and --for exclude each other")
        if self.length is not None:
            return now + self.length
        return None if self.end is None else moment_from(self.end, now, zone)


def until_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --until, --for and --why, as `end`, `length` and `why`."""
    for option in (
        click.option("--why", metavar="TEXT", default="", help="The reason, which is shown with it."),
        click.option("--for", "length", callback=seconds, metavar="TIME", help="How long: 2h, 30m."),
        click.option("--until", "end", metavar="TIME", help="When it ends: 08:00, mon 9:00."),
    ):
        command = option(command)
    return command


def zone_of(control: "LocalControl") -> "tzinfo":
    """The time zone of the citizen's owner, or this machine's if that is unknown."""
    try:
        return zone_named(control.snapshot().zone)
    except BadSchedule:  # owned here, or not reported yet
        return local_zone()
