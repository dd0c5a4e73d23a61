"""Whether each citizen's owner is alive, and whether all that should be are."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scheduler.core.views import Heartbeat, Snapshot

STALE = 10.0  # seconds without a sign of life after which an owner counts as hung


class Standing(StrEnum):
    ALIVE = "alive"
    HUNG = "hung"  # its process is there, its loop does not turn
    GONE = "gone"  # it died, or its service does not run
    FREE = "free"  # no process owns it, and none should

    @property
    def stale(self) -> bool:
        return self in (Standing.HUNG, Standing.GONE)


@dataclass(frozen=True, slots=True)
class CitizenStatus:
    """A citizen at one moment; `age`: seconds since its owner's last sign of life, if one should come."""

    snapshot: Snapshot
    standing: Standing
    age: float | None = None

    @property
    def citizen(self) -> str:
        return self.snapshot.citizen


def status_of(snapshot: Snapshot, pulse: Heartbeat, expected: bool, gone: float) -> CitizenStatus:
    """`expected`: a process should own the citizen; `gone`: for how many seconds none has."""
    if not snapshot.owner or snapshot.stale:
        return CitizenStatus(snapshot, *((Standing.GONE, gone) if expected else (Standing.FREE,)))
    if not snapshot.owner.startswith("attached"):  # its process is there; files do not tell more
        return CitizenStatus(snapshot, Standing.ALIVE)
    hung = pulse.age > STALE
    return CitizenStatus(snapshot, Standing.HUNG if hung else Standing.ALIVE, pulse.age)


def health(statuses: Sequence[CitizenStatus]) -> tuple[bool, dict[str, Any]]:
    """Whether every owner that should be there is, and how each is."""
    well = not any(status.standing.stale for status in statuses)
    citizens = {status.citizen: _one(status) for status in statuses}
    return well, {"status": "ok" if well else "stale", "citizens": citizens}


def _one(status: CitizenStatus) -> dict[str, Any]:
    attached = status.standing in (Standing.ALIVE, Standing.HUNG)
    return {
        "owner": str(status.standing),
        "heartbeat_age_seconds": None if status.age is None else round(status.age, 1),
        "process": status.snapshot.owner.removeprefix("attached, ") if attached else None,
        "problems": list(status.snapshot.problems),
    }
