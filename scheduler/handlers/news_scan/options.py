"""The options of `news_scan`: the keys of its table in the settings."""

from collections.abc import Mapping
from typing import Annotated, Any

from scheduler.handlers.net.urls import address, redacted
from scheduler.schema.table import Table, key
from scheduler.schema.values import InvalidValue, listed, reads, reads_list, seconds, text, type_name

NEEDS = ("feeds",)


LINES = """
feeds = ["https://example.org/feed.xml", "https://example.com/atom.xml"]
"""

_URL = {"type": "string"}


@reads(anyOf=[{"type": "array", "items": _URL}, {"type": "object", "additionalProperties": _URL}])
def _feeds(value: Any) -> Mapping[str, str]:
    """A list of addresses, or a table with a name for each."""
    if isinstance(value, dict):
        named = {text(name): address(url) for name, url in value.items()}
    elif isinstance(value, list):
        urls = dict.fromkeys(address(url) for url in value)
        named = {}
        for url in urls:
            name = redacted(url)
            named[name if name not in named else f"{name} ({len(named) + 1})"] = url
    else:
        raise InvalidValue(f'is {type_name(value)}; write a list, like ["https://example.org/feed.xml"]')
    if not named:
        raise InvalidValue('is empty; write a list, like ["https://example.org/feed.xml"]')
    return named


@reads_list()
def _keywords(value: Any) -> tuple[str, ...]:
    found = tuple(" ".join(text(word).split()) for word in listed(value, '["python", "debian"]'))
    if not all(found):
        raise InvalidValue("contains an empty keyword; remove it")
    return found


class Options(Table):
    """The keys of `[tasks.news_scan]` in addition to those of every task."""

    feeds: Annotated[Mapping[str, str] | None, _feeds] = key(
        None, "The addresses, as a list or as a table with a name for each."
    )
    keywords: Annotated[tuple[str, ...], _keywords] = key(
        (), "Keep only items with one of these words; none: keep all."
    )
    patience: Annotated[float, seconds(0.1)] = key(30.0, "How long one feed may take.")
    keep: Annotated[float, seconds(86400)] = key(
        90 * 86400.0, "How long news is kept and items are remembered."
    )
