"""What is remembered of each feed between scans: which items were seen, and how to ask whether it changed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.errors import TaskFailed
from scheduler.handlers.net.urls import fingerprint
from scheduler.system.files import read_json_for_update, write_json

DAY = 86400
KEPT = 90  # days that an item is remembered after it was last in its feed, and a feed after its last scan
MOST = 5000  # items of one feed that are remembered beside those which are in it now

_FILE = Path(".experience") / "feeds.json"


@dataclass(slots=True)
class FeedMemory:
    """One feed: `seen` are the ids of its items, each with the day on which it was last there."""

    etag: str = ""
    modified: str = ""
    body: str = ""  # the hash of what came last, for servers that know neither
    later: float = 0.0  # before this time the server wants its peace
    day: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def conditions(self) -> dict[str, str]:
        """The headers that ask for the feed only if it has changed."""
        given = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in given.items() if value}

    def saw(self, keys: Collection[str], today: int) -> None:
        """These items are in the feed today; what has been gone for long is forgotten."""
        now = dict.fromkeys(keys, today)
        gone = [(key, day) for key, day in self.seen.items() if key not in now and day > today - KEPT]
        newest = sorted(gone, key=lambda each: each[1])[-MOST:]
        self.seen = {**dict(newest), **now}


class Memory:
    """All feeds of one home."""

    def __init__(self, home: Path, now: float) -> None:
        self.today, self._file = int(now // DAY), home / _FILE
        try:
            self._document = read_json_for_update(self._file)
        except OSError as error:
            raise TaskFailed(f"{self._file} cannot be read: {error.strerror}; make it ours") from error
        feeds = self._document.get("feeds")
        self._feeds = {key: _feed(each) for key, each in feeds.items()} if isinstance(feeds, dict) else {}

    def of(self, url: str) -> FeedMemory:
        """What is known of the feed at this address."""
        feed = self._feeds.setdefault(fingerprint(url), FeedMemory())
        feed.day = self.today
        return feed

    def save(self) -> None:
        """Keep it for the next scan; raises TaskFailed."""
        feeds = {key: _written(feed) for key, feed in self._feeds.items() if feed.day > self.today - KEPT}
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._file, {**self._document, "feeds": feeds})
        except OSError as error:
            raise TaskFailed(f"{self._file} cannot be saved: {error.strerror}") from error


def _written(feed: FeedMemory) -> dict[str, Any]:
    names = ("etag", "modified", "body", "later", "day", "seen")
    return {name: value for name in names if (value := getattr(feed, name))}


def _feed(found: Any) -> FeedMemory:
    """What was written, as far as it is what we write."""
    table: Mapping[str, Any] = found if isinstance(found, dict) else {}
    texts = {name: table[name] for name in ("etag", "modified", "body") if isinstance(table.get(name), str)}
    seen = table.get("seen")
    days = {k: day for k, day in seen.items() if isinstance(day, int)} if isinstance(seen, dict) else {}
    later, day = table.get("later"), table.get("day")
    return FeedMemory(
        **texts,
        later=float(later) if isinstance(later, int | float) else 0.0,
        day=day if isinstance(day, int) else 0,
        seen=days,
    )
