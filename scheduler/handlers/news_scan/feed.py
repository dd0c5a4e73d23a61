"""Looks at one feed: asks whether it changed, has it read, and says what is new in it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.handlers.net.http import Answer, NoAnswer, Web, refusal
from scheduler.handlers.net.urls import fingerprint, shown
from scheduler.handlers.news_scan.feed_state import FeedMemory
from scheduler.handlers.news_scan.parser_pool import Document, Line, Readers, Reading

ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed of the settings: its name, for people, and its address."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Look:
    """What became of one feed: the new lines with their ids, or the problem with it."""

    feed: Feed
    new: Sequence[tuple[str, bytes]] = ()
    problem: str = ""
    seen: frozenset[str] = frozenset()
    answer: Answer | None = None

    def remember(self, memory: FeedMemory, today: int) -> None:
        """Called once the new lines are written: before that they must not count as seen."""
        if self.answer is None:
            return
        memory.later = 0.0
        memory.etag, memory.modified = _kept(self.answer, "etag"), _kept(self.answer, "last-modified")
        memory.body = _hash(self.answer.body)
        memory.saw(self.seen, today)


async def look(feed: Feed, memory: FeedMemory, web: Web, readers: Readers, now: float) -> Look:
    """What is new in the feed; a problem is told, never raised."""
    if now < memory.later <= now + 86400:
        return Look(feed, problem=f"wants to be left alone for {memory.later - now:.0f} s more")
    try:
        answer = await web.get(feed.url, {"accept": ACCEPT, **memory.conditions()})
    except NoAnswer as error:
        memory.later = now + error.later if error.later else 0.0
        return Look(feed, problem=error.why)
    if answer.status == 304 and memory.conditions():
        return Look(feed)
    if problem := refusal(answer) or ("" if answer.body else "is empty"):
        return Look(feed, problem=problem)
    if _hash(answer.body) == memory.body:
        return Look(feed, seen=frozenset(memory.seen), answer=answer)
    document = Document(answer.body, answer.headers.get("content-type", ""), _base(feed, answer))
    return _judged(feed, memory, await readers.read(document), answer)


def _judged(feed: Feed, memory: FeedMemory, reading: Reading, answer: Answer) -> Look:
    if reading.problem:
        return Look(feed, problem=reading.problem)
    mark = fingerprint(feed.url)[:8]
    fresh = {line.key: line for line in reading.lines if line.key not in memory.seen}
    new = [(mark + line.key, _written(feed, mark, line)) for line in fresh.values() if line.text]
    return Look(feed, new, seen=frozenset(line.key for line in reading.lines), answer=answer)


def _written(feed: Feed, mark: str, line: Line) -> bytes:
    """The line for the file: that of the item, with the feed and the id in front."""
    more = json.dumps({"feed": feed.name, "id": mark + line.key}, ensure_ascii=False)
    return more.encode("utf-8", "replace")[:-1] + b", " + line.text[1:]


def _base(feed: Feed, answer: Answer) -> str:
    """What the feed's relative links are relative to; an address of ours that is secret stays so."""
    parts = urlsplit(answer.url)
    base = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return shown(feed.url) + "/" if isinstance(feed.url, Sensitive) else base


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _kept(answer: Answer, name: str) -> str:
    value = answer.headers.get(name, "")
    return value if len(value) <= 500 else ""
