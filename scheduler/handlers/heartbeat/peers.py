"""How the other citizens beside ours are: when each last woke, and whether its owner is alive."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.core.schedule import unix
from scheduler.storage.state_codec import running_from_json
from scheduler.system.homes import homes

# Of a thousand citizens each looks at the next fifty, so that together they look at all of them, often.
MOST = 50
LIMIT = 1 << 20  # bytes of a metadata.json that is still believed


@dataclass(frozen=True, slots=True)
class Peer:
    """`asleep` is for how long it has not woken, None if that is unknown; `gone` that its owner died."""

    name: str
    asleep: float | None = None
    gone: bool = False

    def awake(self, stale: float) -> bool:
        return not self.gone and self.asleep is not None and self.asleep <= stale


def look_at_peers(home: Path, now: float) -> tuple[Peer, ...]:
    """The citizens after ours in the same folder that let us read their metadata.json."""
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
    metadata = _object(home / "metadata.json")
    if metadata is None:
        return None
    woke = _time(metadata.get("last_wake"))
    asleep = None if woke is None else max(0.0, now - woke)
    return Peer(home.name, asleep, _gone(home / ".experience" / "owner.json"))


def _object(file: Path) -> dict[str, Any] | None:
    """The JSON object in the file, None if there is none that we may read."""
    try:
        if not file.is_file() or file.stat().st_size > LIMIT:
            return None
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _time(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else unix(value)
    except OverflowError:
        return None


def _gone(note: Path) -> bool:
    """Whether an owner was noted and that process is no more; a note that we may not read says nothing."""
    from scheduler.system.process_info import alive

    try:
        owner = running_from_json(_object(note))
    except (KeyError, TypeError, ValueError):
        return False
    return not alive(owner)
