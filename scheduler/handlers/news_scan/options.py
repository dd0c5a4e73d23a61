"""The options of `news_scan`: what its table in the settings may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scheduler.handlers.net.urls import address, shown
from scheduler.schema.table import key
from scheduler.schema.values import InvalidValue, kind, seconds, text

if TYPE_CHECKING:
    pass


NEEDS = ("feeds",)


LINES = """
feeds = ["https://example.org/feed.xml", "https://example.com/atom.xml"]
"""


def _feeds(value: Any) -> Mapping[str, str]:
    """A list of addresses, or a table with a name for each."""
    if isinstance(value, dict):
        named = {text(name): address(url) for name, url in value.items()}
    elif isinstance(value, list):
        urls = dict.fromkeys(address(url) for url in value)
        named = {}
        for url in urls:
            name = shown(url)
            named[name if name not in named else f"{name} ({len(named) + 1})"] = url
    else:
        raise InvalidValue(f'is {kind(value)}; write a list, like ["https://example.org/feed.xml"]')
    if not named:
        raise InvalidValue('is empty; write a list, like ["https://example.org/feed.xml"]')
    return named


def _keywords(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidValue(f'is {kind(value)}; write a list, like ["python", "debian"]')
    found = tuple(" ".join(text(word).split()) for word in value)
    if not all(found):
        raise InvalidValue("holds an empty keyword; remove it")
    return found


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.news_scan]` beside those of every task."""

    feeds: Mapping[str, str] | None = key(_feeds)
    keywords: tuple[str, ...] = key(_keywords, ())
    patience: float = key(seconds(0.1), 30.0)  # for one feed
    keep: float = key(seconds(86400), 90 * 86400.0)
