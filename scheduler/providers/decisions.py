"""What becomes of an outage when a run wants to begin, is refused or ends: pure functions.

A decision gets the outage as it is kept, the time, and whether a process is alive. It returns what to keep
and its answer; whoever keeps outages applies it while no other process can change them.
"""

from collections.abc import Callable
from typing import TypeVar

from scheduler.process.process_info import Running
from scheduler.providers.outage import (
    Outage,
    Probe,
    Refused,
    believed,
    is_probe,
    may_try,
    probed,
    refused,
    released,
    retried,
)

T = TypeVar("T")

Alive = Callable[[Running], bool]
Decision = Callable[[Outage | None, float, Alive], tuple[Outage | None, T]]


def admission(run: Probe) -> Decision[Outage | None]:
    """Answers None if the run may begin, perhaps as the probe; else the outage it waits for."""

    def decide(kept: Outage | None, now: float, alive: Alive) -> tuple[Outage | None, Outage | None]:
        found = believed(kept, now, alive)
        if found is None or is_probe(found, run.run):
            return kept, None
        return (probed(found, run, now), None) if may_try(found, now) else (kept, found)

    return decide


def handover(kept: Outage | None, now: float, alive: Alive) -> tuple[Outage | None, Outage | None]:
    """Answers the outage for which a run waits here; None if a worker may decide whether it begins."""
    found = believed(kept, now, alive)
    return kept, None if found is None or may_try(found, now) else found


def refusal(provider: str, by: Refused) -> Decision[Outage]:
    """Answers the outage after this refusal."""

    def decide(kept: Outage | None, now: float, alive: Alive) -> tuple[Outage | None, Outage]:
        found = refused(believed(kept, now, alive), provider, by, now)
        return found, found

    return decide


def ending(run: str, *, tried: bool) -> Decision[bool]:
    """Answers whether this run, which was not refused, ended the outage: a probe that `tried` does."""

    def decide(kept: Outage | None, now: float, alive: Alive) -> tuple[Outage | None, bool]:
        if kept is None or not is_probe(kept, run):
            return kept, False
        return (None, True) if tried else (released(kept, run), False)

    return decide


def retrial(kept: Outage | None, now: float, alive: Alive) -> tuple[Outage | None, Outage | None]:
    """Answers the outage after a person asked for a retry."""
    found = believed(kept, now, alive)
    found = retried(found, now) if found else None
    return found, found
