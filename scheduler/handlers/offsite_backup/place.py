"""Remembers where the backups of a home lie and in which order they were made."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from scheduler.system.files import read_json_to_keep, write_json

NOTE = ".experience/backups.json"
MOST = 10_000  # backups that are remembered, the limit of `keep`

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of the backups: its mount and device, and the names of the backups in the order made."""

    folder: str
    mount: str = ""
    device: int = 0
    made: tuple[str, ...] = ()

    def also(self, name: str) -> "Place":
        """The place with one more backup."""
        return replace(self, made=(*self.made, name)[-MOST:])


def place_of(folder: Path) -> Place:
    """The folder as it is now."""
    top = folder.resolve()
    mount = next(each for each in (top, *top.parents) if os.path.ismount(each))
    return Place(str(folder), str(mount), _device(top))


def _device(folder: Path) -> int:
    return folder.stat().st_dev


def is_elsewhere(now: Place, before: Place, found: Collection[object]) -> bool:
    """Whether the folder is no longer the same: its disk is not mounted, or another one without backups is.

    A device number alone proves nothing, since it may change at every boot.
    """
    if now.folder != before.folder or not before.mount:
        return False
    unmounted = now.mount != before.mount and Path(before.mount).is_relative_to(now.mount)
    return unmounted or (now.device != before.device and not found)


def in_order(
    found: Sequence[T], made: Sequence[str], name: Callable[[T], str], time: Callable[[T], Any], now: Any
) -> list[T]:
    """These backups, oldest first, by more than their times: clocks may have been wrong.

    `made` are the names in the known order. A backup that is not among them stays behind its neighbour in
    time. One later than the last one made, or than now, cannot be the newest and comes first.
    """
    newest = {name(each): time(each) for each in found}.get(made[-1] if made else "", now)
    by_time = sorted(found, key=lambda each: (time(each) <= newest, time(each)))
    order, last, keys = {each: position for position, each in enumerate(made)}, -1, []
    for each in by_time:
        last = order.get(name(each), last)
        keys.append(last)
    return [by_time[position] for position in sorted(range(len(keys)), key=keys.__getitem__)]


def remembered(note: Path) -> Place:
    """The place in the note; an empty one if there is none. Raises OSError."""
    found: dict[str, Any] = read_json_to_keep(note)
    match found:
        case {"folder": str(folder), "mount": str(mount), "device": int(device), "made": list(made)}:
            return Place(folder, mount, device, tuple(each for each in made if isinstance(each, str)))
    return Place("")


def remember(note: Path, place: Place) -> None:
    """Save the place for the next run."""
    write_json(note, asdict(place))
