"""Checks one feed: asks the server for changes, has the document parsed, and finds the new items."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.handlers.net.http import Answer, NoAnswer, Web, status_problem
from scheduler.handlers.net.urls import fingerprint, redacted
from scheduler.handlers.news_scan.feed_state import SHARED, FeedMemory, is_new, shared_keys
from scheduler.handlers.news_scan.parser_pool import Parse

ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed in the settings: its name for people, and its address."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Check:
    """The result for one feed: its new lines with their ids, or the problem with it."""

    feed: Feed
    new: Sequence[tuple[str, bytes]] = ()
    problem: str = ""
    seen: frozenset[str] = frozenset()
    answer: Answer | None = None

    def remember(self, memory: FeedMemory, today: int) -> None:
        """Remember the items as seen; call this only once the new lines are written."""
        if self.answer is None:
            return
        memory.later = 0.0
        memory.etag, memory.modified = _kept(self.answer, "etag"), _kept(self.answer, "last-modified")
        memory.body = _hash(self.answer.body)
        memory.update_seen(self.seen, today)


async def check(
    feed: Feed, memory: FeedMemory, web: Web, parse: Parse, keywords: Sequence[str], now: float
) -> Check:
    """The new items in the feed; a problem is returned, never raised."""
    if now < memory.later <= now + 86400:
        return Check(feed, problem=f"rate limited; next request in {memory.later - now:.0f} s")
    try:
        answer = await web.get(feed.url, {"accept": ACCEPT, **memory.conditions()})
    except NoAnswer as error:
        memory.later = now + error.later if error.later else 0.0
        return Check(feed, problem=error.why)
    if answer.status == 304 and memory.conditions():
        return Check(feed)
    if problem := status_problem(answer) or ("" if answer.body else "is empty"):
        return Check(feed, problem=problem)
    if _hash(answer.body) == memory.body:
        return Check(feed, seen=frozenset(memory.seen), answer=answer)
    mark = fingerprint(feed.url)[:8]
    about = {"type": answer.headers.get("content-type", ""), "base": _base(feed, answer)}
    parsed = await parse(answer.body, {**about, "feed": feed.name, "mark": mark, "keywords": [*keywords]})
    if problem := parsed.get("problem", ""):
        return Check(feed, problem=problem)
    shared = shared_keys((keys for keys, _ in parsed["lines"]), memory.seen)
    new = [
        (mark + keys[-1], text.encode("utf-8", "replace"))
        for keys, text in parsed["lines"]
        if text and is_new(keys, shared, memory.seen)
    ]
    seen = {key for keys, _ in parsed["lines"] for key in keys} | {key + SHARED for key in shared}
    return Check(feed, list(dict(new).items()), seen=frozenset(seen), answer=answer)


def _base(feed: Feed, answer: Answer) -> str:
    """The base of the feed's relative links, without secrets in the address."""
    parts = urlsplit(answer.url)
    base = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return redacted(feed.url) + "/" if isinstance(feed.url, Sensitive) else base


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _kept(answer: Answer, name: str) -> str:
    value = answer.headers.get(name, "")
    return value if len(value) <= 500 else ""
