"""What is remembered of each pair between runs, and whether its price has moved too far."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from scheduler.core.schedule import in_words
from scheduler.errors import TaskFailed
from scheduler.handlers.price_monitor.prices import NoPrice, Number, Price, price
from scheduler.system.files import read_json_for_update, write_json

POINTS = 1000  # prices of one pair that are remembered; of a longer window the newest count
LATE = 1.1  # a run that comes a little late still sees the price that a whole window ago was there
PAIRS = 1000  # pairs that are remembered; those asked for last

_FILE = Path(".experience") / "prices.json"


@dataclass(frozen=True, slots=True)
class Point:
    """A price at a moment."""

    at: float
    price: Price


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a price, exact, in per cent of what it was."""

    before: Point
    after: Point

    @property
    def percent(self) -> Decimal:
        return (self.after.price.value - self.before.price.value) / self.before.price.value * 100

    def __str__(self) -> str:
        verb = "rose" if self.percent > 0 else "fell"
        span = in_words(max(1, round(self.after.at - self.before.at)))
        return (
            f"{verb} {abs(self.percent):.2f}% in {span}: {self.before.price.text} to {self.after.price.text}"
        )


@dataclass(slots=True)
class Track:
    """The recent prices of one pair, the oldest first; what was alerted about is not among them."""

    points: list[Point] = field(default_factory=list)

    def add(self, point: Point, window: float) -> Move | None:
        """The greatest move within the window that ends with this price."""
        recent = [each for each in self.points if 0 <= point.at - each.at <= window * LATE][-POINTS:]
        self.points = [*recent, point]
        if not recent:
            return None
        lowest, highest = (choose(recent, key=lambda each: each.price.value) for choose in (min, max))
        return max(Move(lowest, point), Move(highest, point), key=lambda move: abs(move.percent))

    def alerted(self) -> None:
        """From here on only a further move counts."""
        del self.points[:-1]


class Tracks:
    """All pairs of one home, and until when each source wants its peace."""

    def __init__(self, home: Path) -> None:
        self._file = home / _FILE
        try:
            self._document = read_json_for_update(self._file)
        except OSError as error:
            raise TaskFailed(f"{self._file} cannot be read: {error.strerror}; make it ours") from error
        pairs, later = self._document.get("pairs"), self._document.get("later")
        known = pairs.items() if isinstance(pairs, dict) else ()
        self._tracks = {name: _track(points) for name, points in known}
        self._later = (
            {k: float(v) for k, v in later.items() if _is_time(v)} if isinstance(later, dict) else {}
        )

    def of(self, name: str) -> Track:
        track = self._tracks.pop(name, None) or Track()
        self._tracks[name] = track  # the last one asked for comes last
        return track

    def left_alone(self, source: str, now: float) -> float:
        """For how many seconds this source still wants its peace."""
        left = self._later.get(source, 0.0) - now
        return left if 0 < left <= 86400 else 0.0

    def leave_alone(self, source: str, until: float) -> None:
        self._later[source] = until

    def save(self, now: float) -> None:
        """Keep it for the next run; raises TaskFailed."""
        pairs = {name: list(map(_written, track.points)) for name, track in self._tracks.items()}
        newest = dict(list(pairs.items())[-PAIRS:])
        later = {name: until for name, until in self._later.items() if until > now}
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._file, {**self._document, "pairs": newest, "later": later})
        except OSError as error:
            raise TaskFailed(f"{self._file} cannot be saved: {error.strerror}") from error


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


def _is_time(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)
