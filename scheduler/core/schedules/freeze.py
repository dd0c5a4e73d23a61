"""A freeze: a time in which nothing of a citizen, or of all citizens of a root, is started."""

from collections.abc import Iterator
from dataclasses import replace

from scheduler.core.values import value

SPANS_KEPT = 50  # past freezes; an owner that was not running then learns of them at its start


@value
class Span:
    """A time in which nothing was started."""

    since: float
    until: float


@value
class Freeze:
    """Who froze the citizen, since when and why; without `until` it holds until it is lifted."""

    since: float
    until: float | None = None
    by: str = ""
    why: str = ""
    together: bool = False  # it is for all citizens of the root
    problem: str = ""  # its file cannot be read, so nothing is started, to be safe

    def holds(self, now: float) -> bool:
        return self.until is None or now < self.until

    def believed(self, now: float) -> "Freeze":
        """The freeze, moved to now with the same length if it begins in the future: its clock was wrong."""
        if self.since <= now:
            return self
        until = None if self.until is None else now + self.until - self.since
        return replace(self, since=now, until=until)


@value
class FreezeNote:
    """The freezes of a citizen or of a root: the last one, unless it was lifted, and earlier ones."""

    last: Freeze | None = None
    past: tuple[Span, ...] = ()

    def frozen(self, freeze: Freeze) -> "FreezeNote":
        """The note with this freeze as the last; a freeze still in force gives it its beginning."""
        if self.last and self.last.holds(freeze.since):
            return FreezeNote(replace(freeze, since=min(self.last.since, freeze.since)), self.past)
        return FreezeNote(freeze, self.spans(freeze.since))

    def thawed(self, now: float) -> "FreezeNote":
        return FreezeNote(None, self.spans(now))

    def spans(self, now: float) -> tuple[Span, ...]:
        """The past freezes if the last one ends now."""
        past = [span for span in self.past if span.until <= now]  # later ones: a clock was set back
        if self.last and self.last.since < now:
            end = now if self.last.until is None else min(self.last.until, now)
            past.append(Span(self.last.since, end))
        return tuple(past[-SPANS_KEPT:])

    def over(self, now: float) -> tuple[Span, ...]:
        """The freezes that are over."""
        return self.past if self.last and self.last.holds(now) else self.spans(now)


@value
class Freezes:
    """The freezes that concern one citizen: its own note and its root's note."""

    own: FreezeNote = FreezeNote()
    root: FreezeNote = FreezeNote()
    problems: tuple[str, ...] = ()

    def now(self, now: float) -> Freeze | None:
        """The freeze in force; if there are two, the one that lasts longer."""
        return max(self._in_force(now), key=_end, default=None)

    def over(self, now: float) -> tuple[Span, ...]:
        """The times in which nothing was started, the earliest end first."""
        return tuple(sorted({*self.own.over(now), *self.root.over(now)}, key=lambda span: span.until))

    def _in_force(self, now: float) -> Iterator[Freeze]:
        for note in (self.own, self.root):
            if note.last and note.last.holds(now):
                yield note.last


def _end(freeze: Freeze) -> float:
    return float("inf") if freeze.until is None else freeze.until
