"""Remembers the seen items of each feed between scans, and how to request only changes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from scheduler.handlers.ages import believed_today
from scheduler.handlers.home_files import read_memory, write_memory
from scheduler.handlers.net.urls import fingerprint

DAY = 86400
KEPT = 90  # days that an item is remembered after it was last in its feed, and a feed after its last scan
MOST = 15_000  # keys of one feed that are remembered though no longer in it; an item has three

SHARED = "*"  # suffix of a seen key that several items have
EPOCH = date(1970, 1, 1)
_FILE = Path(".experience") / "feeds.json"
_TYPES: dict[str, Any] = {
    "etag": str,
    "modified": str,
    "body": str,
    "later": int | float,
    "day": int,
    "seen": dict,
}


@dataclass(slots=True)
class FeedMemory:
    """The memory of one feed; `seen` has the keys of its items with the day each was last in it."""

    etag: str = ""
    modified: str = ""
    body: str = ""  # the hash of the last document, for servers that send neither
    later: float = 0.0  # before this time the server accepts no requests
    day: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def conditions(self) -> dict[str, str]:
        """The headers that request the feed only if it has changed."""
        given = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in given.items() if value}

    def update_seen(self, keys: Collection[str], today: int) -> None:
        """Note that these items are in the feed today, and forget those gone for long."""
        now = dict.fromkeys(keys, today)
        oldest = _oldest(today, self.seen.values())
        gone = [(key, day) for key, day in self.seen.items() if key not in now and day > oldest]
        newest = sorted(gone, key=lambda each: each[1])[-MOST:]
        self.seen = {**dict(newest), **now}


def shared_keys(items: Iterable[Sequence[str]], seen: Collection[str]) -> set[str]:
    """The keys that stand for several items, in this document or in an earlier one."""
    whole: dict[str, set[str]] = {}
    for keys in items:
        for key in keys:
            whole.setdefault(key, set()).add(keys[-1])
    return {key for key, known in whole.items() if len(known) > 1 or key + SHARED in seen}


def is_new(keys: Sequence[str], shared: Collection[str], seen: Collection[str]) -> bool:
    """Whether the item was never seen, by the first of its keys that no other item has."""
    own = next((key for key in keys if key not in shared), keys[-1])
    return own not in seen and keys[-1] not in seen


class Memory:
    """All feeds of one home."""

    def __init__(self, home: Path, now: float) -> None:
        self.today, self._file = int(now // DAY), home / _FILE
        self._document = read_memory(self._file)
        feeds = self._document.get("feeds")
        self._feeds = {key: _feed(each) for key, each in feeds.items()} if isinstance(feeds, dict) else {}

    def of(self, url: str) -> FeedMemory:
        """The memory of the feed at this address."""
        feed = self._feeds.setdefault(fingerprint(url), FeedMemory())
        feed.day = self.today
        return feed

    def save(self) -> None:
        """Save the memory for the next scan; raises TaskFailed."""
        oldest = _oldest(self.today, (feed.day for feed in self._feeds.values()))
        feeds = {key: _written(feed) for key, feed in self._feeds.items() if feed.day > oldest}
        write_memory(self._file, {**self._document, "feeds": feeds})


def _oldest(today: int, days: Iterable[int]) -> int:
    """The latest day to forget, in days since 1970."""
    known = (EPOCH + timedelta(days=day) for day in days if 0 <= day <= today)
    return (believed_today(EPOCH + timedelta(days=today), known) - EPOCH).days - KEPT


def _written(feed: FeedMemory) -> dict[str, Any]:
    return {name: value for name, value in asdict(feed).items() if value}


def _feed(found: Any) -> FeedMemory:
    """The memory of a feed, from the valid part of its saved form."""
    feed = FeedMemory()
    for name, value in found.items() if isinstance(found, dict) else ():
        if name in _TYPES and isinstance(value, _TYPES[name]):
            setattr(feed, name, value)
    feed.seen = {key: day for key, day in feed.seen.items() if isinstance(day, int)}
    return feed
