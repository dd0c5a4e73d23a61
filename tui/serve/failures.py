"""How many wrong tokens an address may try."""

from dataclasses import dataclass, field

ALLOWED = 10  # wrong tokens at once
FORGIVEN_AFTER = 6.0  # seconds until one of them is forgotten
ADDRESSES = 1000  # remembered; the ones that were quiet longest are forgotten first


@dataclass(slots=True)
class Failures:
    """Counts what was wrong by address; time is an argument and only rises."""

    _until: dict[str, float] = field(default_factory=dict)  # when all of an address is forgotten

    def wrong(self, address: str, now: float) -> None:
        until = max(self._until.pop(address, now), now)
        self._until[address] = until + FORGIVEN_AFTER
        while len(self._until) > ADDRESSES:
            del self._until[next(iter(self._until))]

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        owed = self._until.get(address, now) - now
        return max(0.0, owed - (ALLOWED - 1) * FORGIVEN_AFTER)
