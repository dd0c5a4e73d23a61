"""Remembers the prices of each pair between runs, and finds the moves that are too large."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import short_duration
from scheduler.handlers.home_files import read_memory, write_memory
from scheduler.handlers.price_monitor.sources import NoPrice, Number, Price, price

POINTS = 1000  # prices remembered per pair, the newest ones
LATE = 1.1  # factor on the window, so that a run that is a little late still sees the price at its beginning
PAIRS = 1000  # pairs that are remembered, the last ones requested

_FILE = Path(".experience") / "prices.json"


@dataclass(frozen=True, slots=True)
class Point:
    """A price at a moment."""

    at: float
    price: Price


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a price, with its exact percentage of the price before."""

    before: Point
    after: Point

    @property
    def percent(self) -> Decimal:
        return (self.after.price.value - self.before.price.value) / self.before.price.value * 100

    def __str__(self) -> str:
        verb = "rose" if self.percent > 0 else "fell"
        span = short_duration(max(1, round(self.after.at - self.before.at)))
        return (
            f"{verb} {abs(self.percent):.2f}% in {span}: {self.before.price.text} to {self.after.price.text}"
        )


@dataclass(slots=True)
class Track:
    """The recent prices of one pair, oldest first, without those already alerted about."""

    points: list[Point] = field(default_factory=list)

    def add(self, point: Point, window: float) -> Move | None:
        """Add this price; returns the greatest move that ends with it within the window."""
        recent = [each for each in self.points if 0 <= point.at - each.at <= window * LATE][-POINTS:]
        self.points = [*recent, point]
        if not recent:
            return None
        lowest, highest = (choose(recent, key=lambda each: each.price.value) for choose in (min, max))
        return max(Move(lowest, point), Move(highest, point), key=lambda move: abs(move.percent))

    def alerted(self) -> None:
        """Count moves only from the last price on."""
        del self.points[:-1]


class Tracks:
    """Last prices per pair and the retry-after time of each source."""

    def __init__(self, home: Path) -> None:
        self._file = home / _FILE
        self._document = read_memory(self._file)
        pairs, later = self._document.get("pairs"), self._document.get("later")
        known = pairs.items() if isinstance(pairs, dict) else ()
        self._tracks = {name: _track(points) for name, points in known}
        times = later.items() if isinstance(later, dict) else ()
        self._later = {name: at for name, at in times if isinstance(at, int | float)}

    def of(self, name: str) -> Track:
        track = self._tracks.pop(name, None) or Track()
        self._tracks[name] = track  # the last one asked for comes last
        return track

    def rate_limited(self, source: str, now: float) -> float:
        """The seconds for which this source accepts no requests."""
        left = self._later.get(source, 0.0) - now
        return left if 0 < left <= 86400 else 0.0

    def limit(self, source: str, until: float) -> None:
        self._later[source] = until

    def save(self, now: float) -> None:
        """Save the prices for the next run; raises TaskFailed."""
        pairs = {name: list(map(_written, track.points)) for name, track in self._tracks.items()}
        newest = dict(list(pairs.items())[-PAIRS:])
        later = {name: until for name, until in self._later.items() if until > now}
        write_memory(self._file, {**self._document, "pairs": newest, "later": later})


def _written(point: Point) -> list[Any]:
    return [point.at, point.price.text]


def _track(found: Any) -> Track:
    points = [point for each in found if (point := _point(each))] if isinstance(found, list) else []
    return Track(points)


def _point(found: Any) -> Point | None:
    match found:
        case [int() | float() as at, str() as text]:
            try:
                return Point(float(at), price(Number(text)))
            except NoPrice:
                return None
        case _:
            return None
