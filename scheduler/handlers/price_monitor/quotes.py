"""Requests the prices of all pairs from a source at once: a price or a problem for each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.handlers.net.http import Answer, NoAnswer, Web, open_web, status_problem
from scheduler.handlers.net.urls import fingerprint
from scheduler.handlers.price_monitor.moves import Tracks
from scheduler.handlers.price_monitor.options import Options
from scheduler.handlers.price_monitor.sources import NoPrice, Price, document, fresh, source_of

AT_ONCE = 4
ONE = "price"  # the pair of a json source without pairs

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Quotes:
    """The result for each pair; `names` are the keys of their remembered prices."""

    prices: dict[str, Price] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


async def quotes(options: Options, tracks: Tracks, now: float, progress: Progress) -> Quotes:
    """A price or a problem for every pair."""
    every = options.pairs or (ONE,)
    found = Quotes(names={pair: _name(options, pair) for pair in every})
    limited = fingerprint(f"{options.source} {options.url or options.endpoint}")[:8]
    asking = _Asking(options, now, found)
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask(pairs: Sequence[str]) -> None:
        async with slots:
            if left := tracks.rate_limited(limited, now):  # by an earlier run, or for another pair
                problem = f"rate limited; next request in {left:.0f} s"
                found.problems.update(dict.fromkeys(pairs, problem))
            elif later := await asking.ask(web, pairs):
                tracks.limit(limited, now + later)
        progress(len(found.prices) + len(found.problems), len(every), ", ".join(pairs[:3]))

    async with open_web(options.patience) as web, asyncio.TaskGroup() as group:
        for pairs in asking.requests(every):
            group.create_task(ask(pairs))
    return found


def _name(options: Options, pair: str) -> str:
    """The key of the pair's prices: includes the address and place, hashed since they may hold secrets."""
    place = f"{options.url} {options.path} {options.endpoint}"
    return f"{options.source} {pair} {fingerprint(place)[:8]}"


class _Asking:
    """Requests to one source, whose prices and problems go into `found`."""

    def __init__(self, options: Options, now: float, found: Quotes) -> None:
        self._options, self._now, self._found = options, now, found
        self._source = source_of(options)

    def requests(self, pairs: Sequence[str]) -> list[list[str]]:
        """The pairs of each request; an invalid pair becomes a problem at once."""
        valid = [pair for pair in pairs if self._is_valid(pair)]
        return [valid] if valid and self._source.together else [[pair] for pair in valid]

    async def ask(self, web: Web, pairs: Sequence[str]) -> float:
        """Get the price or problem of each pair; returns the seconds until the source takes requests."""
        url = self._source.endpoint + self._source.ask(pairs)
        secret = isinstance(self._options.url or self._options.endpoint, Sensitive)
        try:
            answer = await web.get(Sensitive(url) if secret else url, self._options.headers)
        except NoAnswer as error:
            self._found.problems.update(dict.fromkeys(pairs, error.why))
            return error.later
        for pair in pairs:
            self._judge(pair, answer)
        return 0.0

    def _judge(self, pair: str, answer: Answer) -> None:
        refused = status_problem(answer)
        try:
            price = self._source.read(document(answer.body), pair)
            if refused:
                raise NoPrice("")
            self._found.prices[pair] = fresh(price, self._now, self._options.stale)
        except NoPrice as error:
            # The source's message in the body of a refusal says more than its status.
            is_json = answer.body.lstrip()[:1] in (b"{", b"[")
            message = str(error) if is_json or not refused else ""
            self._found.problems[pair] = self._clean(": ".join(filter(None, (refused, message))))

    def _is_valid(self, pair: str) -> bool:
        try:
            self._source.ask([pair])
        except NoPrice as error:
            self._found.problems[pair] = str(error)
            return False
        return True

    def _clean(self, text: str) -> str:
        """The text without the request's secrets, which some sources repeat in their errors."""
        address = urlsplit(self._options.url or self._options.endpoint)
        sent = [*(self._options.headers or {}).values(), *(value for _, value in parse_qsl(address.query))]
        for value in (word for each in sent for word in (each, *each.split())):
            text = text.replace(value, "***") if len(value) > 5 else text
        return text
