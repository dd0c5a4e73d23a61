"""The health of each citizen's owner, and of all together."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scheduler.core.views import Heartbeat, Snapshot

STALE = 10.0  # seconds without a heartbeat after which an owner counts as hung


class OwnerState(StrEnum):
    """Whether a process runs the citizen."""

    ALIVE = "alive"
    HUNG = "hung"  # its process is there, but its loop is stuck
    GONE = "gone"  # it died, or its service does not run
    FREE = "free"  # no process owns it, and none should

    @property
    def stale(self) -> bool:
        return self in (OwnerState.HUNG, OwnerState.GONE)


@dataclass(frozen=True, slots=True)
class CitizenStatus:
    """A citizen at one moment; `age`: seconds since its owner's last heartbeat, if it should send one."""

    snapshot: Snapshot
    owner_state: OwnerState
    age: float | None = None

    @property
    def citizen(self) -> str:
        return self.snapshot.citizen


def status_of(snapshot: Snapshot, pulse: Heartbeat, expected: bool, gone: float) -> CitizenStatus:
    """`expected`: a process should own the citizen; `gone`: seconds without an owner."""
    if not snapshot.owner or snapshot.stale:
        return CitizenStatus(snapshot, *((OwnerState.GONE, gone) if expected else (OwnerState.FREE,)))
    if not snapshot.owner.startswith("attached"):  # its process is there; files do not show more
        return CitizenStatus(snapshot, OwnerState.ALIVE)
    hung = pulse.age > STALE
    return CitizenStatus(snapshot, OwnerState.HUNG if hung else OwnerState.ALIVE, pulse.age)


def health(statuses: Sequence[CitizenStatus]) -> tuple[bool, dict[str, Any]]:
    """Whether every owner that should run is alive, and the report."""
    healthy = not any(status.owner_state.stale for status in statuses)
    citizens = {status.citizen: _as_json(status) for status in statuses}
    return healthy, {"status": "ok" if healthy else "stale", "citizens": citizens}


def _as_json(status: CitizenStatus) -> dict[str, Any]:
    attached = status.owner_state in (OwnerState.ALIVE, OwnerState.HUNG)
    return {
        "owner": str(status.owner_state),
        "heartbeat_age_seconds": None if status.age is None else round(status.age, 1),
        "process": status.snapshot.owner.removeprefix("attached, ") if attached else None,
        "problems": list(status.snapshot.problems),
    }
