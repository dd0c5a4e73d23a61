"""Words and lines about a task that is held, and about what the wake costs."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from scheduler.core.costs import Money
from scheduler.core.views import Hold, HoldKind, TaskView
from tui.common import amounts
from tui.common import text as words
from tui.glyphs import Glyphs

WIDE = 50  # cells from which the line below the wake shows the month, too
PARTS = re.compile(r"(?P<what>.*?)(?: until (?P<end>[^(]*?)|, (?P<news>[^(]*?))?(?: \((?P<detail>.*)\))?")
TALKS = (HoldKind.BUDGET, HoldKind.PROVIDER)  # holds whose reason starts with the words in the row


class Below(NamedTuple):
    """Clean words and their style; at the right `end`, or the time left `until` then."""

    text: str
    style: str
    end: str = ""
    until: float | None = None


def _parts(hold: Hold) -> dict[str, str]:
    found = PARTS.fullmatch(hold.why)
    if hold.kind not in TALKS or found is None or not (found["end"] or found["news"]):
        return {"what": "waits", "end": "", "news": hold.why, "detail": ""}
    return {name: said or "" for name, said in found.groupdict().items()}


def held_words(hold: Hold, *, brief: bool = False) -> str:
    """`over budget`, `waits for anthropic`; `brief`, if no line follows below: `until 15:00`."""
    if hold.kind is HoldKind.QUEUE and hold.about:
        return f"waits for {hold.about}"
    parts = _parts(hold)
    until = brief and hold.kind is HoldKind.PROVIDER and parts["end"]
    return f"until {until}" if until else parts["what"]


def held_in_full(hold: Hold) -> str:
    """What the task waits for and until when, without the amounts."""
    parts = _parts(hold)
    if parts["end"]:
        return f"{parts['what']} until {parts['end']}"
    return hold.why


def held_lines(hold: Hold, width: int, glyphs: Glyphs) -> list[Below]:
    """When the hold ends, and what lifts it."""
    parts = _parts(hold)
    if hold.kind is HoldKind.BUDGET and parts["end"]:
        spent = f": {parts['detail']} spent" if width >= WIDE else ""
        return [_line(f"until {parts['end']}{spent}{glyphs.dot}B allows more", width, glyphs)]
    if not parts["end"]:
        return [_line(parts["news"], width, glyphs)]
    detail = f" ({parts['detail']})" if parts["detail"] else ""
    room = max(0, width - words.TIME - 1)
    return [_line(f"until {parts['end']}{detail}", room, glyphs)._replace(until=hold.until)]


def wake_lines(task: TaskView, money: Money | None, width: int, glyphs: Glyphs) -> list[Below]:
    """What the wake cost today, and how many of its times were skipped."""
    said = glyphs.dot.join(filter(None, [*_money(task, money or Money(), width), *_skips(task)]))
    return [_line(said, width, glyphs)._replace(style="faint")] if said else []


def _money(task: TaskView, money: Money, width: int) -> Iterator[str]:
    spent = _parts(task.held)["detail"] if task.held and task.held.kind is HoldKind.BUDGET else ""
    if spent and width < WIDE:
        yield spent
    elif width >= WIDE and spent:
        yield f"{amounts.of_limit(money.month, money.month_limit)} this month"
    elif task.cost_today:
        limit = f" of {amounts.spent(money.day_limit)}" if money.day_limit and width >= WIDE else ""
        yield f"{amounts.spent(task.cost_today)} today{limit}"


def _skips(task: TaskView) -> Iterator[str]:
    if task.skips and task.skips.skipped:
        yield f"skipped {task.skips.skipped:,} of {task.skips.of:,}" + (" today" * (not task.cost_today))


def _line(text: str, width: int, glyphs: Glyphs) -> Below:
    return Below(words.shorten(words.clean(text, glyphs.plain), width, glyphs.ellipsis), "warning")
