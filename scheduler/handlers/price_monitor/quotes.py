"""Asks a source for the prices of all pairs at once: a price or a problem for each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.handlers.net.http import Answer, NoAnswer, Web, open_web, refusal
from scheduler.handlers.net.urls import fingerprint
from scheduler.handlers.price_monitor.moves import Tracks
from scheduler.handlers.price_monitor.prices import NoPrice, Price, document, fresh
from scheduler.handlers.price_monitor.sources import JSON, SOURCES, Read, read_json

if TYPE_CHECKING:
    from scheduler.handlers.price_monitor.options import Options

AT_ONCE = 4
ONE = "price"  # the pair of a json source without pairs

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One address, and the pairs whose prices are in its answer."""

    url: str = field(repr=False)
    pairs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Quotes:
    """What came of each pair; `names` are those under which its past is remembered."""

    prices: dict[str, Price] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


async def quotes(options: "Options", tracks: Tracks, now: float, progress: Progress) -> Quotes:
    """A price or a problem for every pair."""
    every = options.pairs or (ONE,)
    where = options.url or options.endpoint
    found = Quotes(names={pair: _name(options, pair) for pair in every})
    peace = fingerprint(f"{options.source} {where}")[:8]
    if left := tracks.left_alone(peace, now):
        found.problems.update(dict.fromkeys(every, f"wants to be left alone for {left:.0f} s more"))
        return found
    asking = _Asking(options, tracks, now, peace, found)
    async with open_web(options.patience) as web:
        slots = asyncio.Semaphore(AT_ONCE)

        async def ask(request: Request) -> None:
            async with slots:
                await asking.ask(web, request)
            progress(len(found.prices) + len(found.problems), len(every), ", ".join(request.pairs[:3]))

        async with asyncio.TaskGroup() as group:
            for request in asking.requests(every):
                group.create_task(ask(request))
    return found


def _name(options: "Options", pair: str) -> str:
    """Another address or place is another price; addresses may hold secrets, so it is a hash of them."""
    place = f"{options.url} {options.path} {options.endpoint}"
    return f"{options.source} {pair} {fingerprint(place)[:8]}"


class _Asking:
    def __init__(self, options: "Options", tracks: Tracks, now: float, peace: str, found: Quotes) -> None:
        self._options, self._tracks, self._now, self._peace = options, tracks, now, peace
        self._found = found

    def requests(self, pairs: Sequence[str]) -> list[Request]:
        """What to ask; a pair that cannot be asked for is a problem at once."""
        made = []
        for some in [pairs] if self._together() else [[pair] for pair in pairs]:
            good = [pair for pair in some if self._url_or_problem([pair])]
            if good:
                made.append(Request(self._url(good), good))
        return made

    async def ask(self, web: Web, request: Request) -> None:
        """Note the price or the problem of each pair of this request."""
        try:
            answer = await web.get(request.url, self._options.headers)
        except NoAnswer as error:
            if error.later:
                self._tracks.leave_alone(self._peace, self._now + error.later)
            self._found.problems.update(dict.fromkeys(request.pairs, error.why))
            return
        for pair in request.pairs:
            self._judge(pair, answer)

    def _judge(self, pair: str, answer: Answer) -> None:
        refused = refusal(answer)
        try:
            price = self._read()(document(answer.body), pair)
            if refused:
                raise NoPrice("")
            self._found.prices[pair] = fresh(price, self._now, self._options.stale)
        except NoPrice as error:
            # What a source says in the body of a refusal is better than its number alone.
            said = str(error) if _speaks(answer) or not refused else ""
            self._found.problems[pair] = self._clean(": ".join(filter(None, (refused, said))))

    def _together(self) -> bool:
        options = self._options
        if options.source == JSON:
            return "{pair}" not in options.url
        return SOURCES[options.source].together

    def _url_or_problem(self, pairs: Sequence[str]) -> str:
        try:
            return self._url(pairs)
        except NoPrice as error:
            self._found.problems[pairs[0]] = str(error)
            return ""

    def _url(self, pairs: Sequence[str]) -> str:
        options = self._options
        if options.source == JSON:
            url = options.url.replace("{pair}", quote(pairs[0], safe=""))
        else:
            source = SOURCES[options.source]
            url = (options.endpoint or source.endpoint).rstrip("/") + source.ask(pairs)
        return Sensitive(url) if isinstance(options.url or options.endpoint, Sensitive) else url

    def _read(self) -> Read:
        options = self._options
        if options.source == JSON:
            return read_json(options.path, options.time_path)
        return SOURCES[options.source].read

    def _clean(self, text: str) -> str:
        """The text without what we told the source: some repeat it in their errors."""
        address = urlsplit(self._options.url or self._options.endpoint)
        told = [*(self._options.headers or {}).values(), *(value for _, value in parse_qsl(address.query))]
        for value in (word for each in told for word in (each, *each.split())):
            text = text.replace(value, "***") if len(value) > 5 else text
        return text


def _speaks(answer: Answer) -> bool:
    return answer.body.lstrip()[:1] in (b"{", b"[")
