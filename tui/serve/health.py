"""How it stands with a citizen's owner, and what that means for the health of all."""

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
    FREE = "free"  # nobody owns it, and nobody is meant to

    @property
    def stale(self) -> bool:
        return self in (Standing.HUNG, Standing.GONE)


@dataclass(frozen=True, slots=True)
class CitizenStatus:
    """A citizen at one moment; `age`: seconds since its owner's last sign of life, if one is awaited."""

    snapshot: Snapshot
    standing: Standing
    age: float | None = None

    @property
    def citizen(self) -> str:
        return self.snapshot.citizen


def standing(snapshot: Snapshot, pulse: Heartbeat, expected: bool, gone: float) -> CitizenStatus:
    """`expected`: somebody is meant to own it, should nobody do so, for `gone` seconds now."""
    if not snapshot.owner or snapshot.stale:
        return (
            CitizenStatus(snapshot, Standing.GONE, gone)
            if expected
            else CitizenStatus(snapshot, Standing.FREE)
        )
    if not snapshot.owner.startswith("attached"):  # its process is there; more cannot be asked through files
        return CitizenStatus(snapshot, Standing.ALIVE)
    hung = pulse.age > STALE
    return CitizenStatus(snapshot, Standing.HUNG if hung else Standing.ALIVE, pulse.age)


def health(sightings: Sequence[CitizenStatus]) -> tuple[bool, dict[str, Any]]:
    """Whether every owner that should be there is, and how each is."""
    well = not any(sighting.standing.stale for sighting in sightings)
    citizens = {sighting.citizen: _one(sighting) for sighting in sightings}
    return well, {"status": "ok" if well else "stale", "citizens": citizens}


def _one(sighting: CitizenStatus) -> dict[str, Any]:
    attached = sighting.standing in (Standing.ALIVE, Standing.HUNG)
    return {
        "owner": str(sighting.standing),
        "heartbeat_age_seconds": None if sighting.age is None else round(sighting.age, 1),
        "process": sighting.snapshot.owner.removeprefix("attached, ") if attached else None,
        "problems": list(sighting.snapshot.problems),
    }
