"""Checks when each of the other citizens last woke, and whether its owner is alive."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import unix
from scheduler.storage.state_codec import running_from_json
from scheduler.system.files import read_json
from scheduler.system.homes import homes

# Each citizen checks the next fifty by name; together they cover all, even a thousand.
MOST = 50


@dataclass(frozen=True, slots=True)
class Peer:
    """`asleep`: seconds since its last wake, None if unknown; `gone`: its owner died."""

    name: str
    asleep: float | None = None
    gone: bool = False

    def awake(self, stale: float) -> bool:
        return not self.gone and self.asleep is not None and self.asleep <= stale


def check_peers(home: Path, now: float) -> tuple[Peer, ...]:
    """The citizens after this one in the same folder whose metadata.json can be read."""
    names = [name for name in _names(home.parent) if name != home.name]
    after = [name for name in names if name > home.name]
    ring = (after + names[: len(names) - len(after)])[:MOST]
    peers = (_peer(home.parent / name, now) for name in ring)
    return tuple(peer for peer in peers if peer)


def _names(root: Path) -> list[str]:
    try:
        return homes(root)
    except OSError:
        return []


def _peer(home: Path, now: float) -> Peer | None:
    unreadable: dict[str, Any] = {}
    metadata = read_json(home / "metadata.json", unreadable)
    if metadata is unreadable:
        return None
    woke = _time(metadata.get("last_wake"))
    asleep = None if woke is None else max(0.0, now - woke)
    return Peer(home.name, asleep, _is_gone(home / ".experience" / "owner.json"))


def _time(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else unix(value)
    except OverflowError:
        return None


def _is_gone(note: Path) -> bool:
    """Whether the noted owner's process has ended; False without a readable note."""
    from scheduler.process.process_info import alive

    try:
        owner = running_from_json(read_json(note, {}))
    except (KeyError, TypeError, ValueError):
        return False
    return not alive(owner)
