"""The axis of the timeline: the time of each cell, and the labels above."""

import time
from dataclasses import dataclass

from scheduler.core.schedules.forecast import TimeGrid

PAST = 3600.0  # seconds before now
ROUND = (60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)
ZOOMS = (3600.0, 10800.0, 21600.0, 43200.0, 86400.0, 259200.0, 604800.0)  # seconds ahead
DAY = 4  # the zoom at the start
LABEL = 7  # cells of a label, with the gap behind it
HOURS = (1, 2, 3, 4, 6, 12, 24)


@dataclass(frozen=True, slots=True)
class Label:
    """A label above a cell; `day` if a day begins there, `changed` if the clocks change there."""

    cell: int
    text: str
    day: bool = False
    changed: bool = False


def window_for(now: float, ahead: float, cells: int, shift: float = 0.0) -> TimeGrid:
    """Cells of a round length, from an hour ago to `ahead`; `shift` moves them ahead."""
    cells = max(1, cells)
    cell = next((each for each in ROUND if each * cells >= PAST + ahead), ROUND[-1])
    offset = time.localtime(now).tm_gmtoff
    start = (now + shift - PAST + offset) // cell * cell - offset
    return TimeGrid(start, float(cell), cells)


def zoom_words(zoom: int) -> str:
    """How far ahead this zoom looks: `24h`, `7d`."""
    hours = int(ZOOMS[zoom] // 3600)
    return f"{hours}h" if hours <= 24 else f"{hours // 24}d"


def labels(window: TimeGrid) -> list[Label]:
    """Local hours or days, as many as fit, and every clock change."""
    step = next((each for each in HOURS if each * 3600 / window.cell >= LABEL), HOURS[-1])
    found: list[Label] = []
    before = time.localtime(window.start - window.cell)
    for cell in range(window.cells):
        at = time.localtime(window.start + cell * window.cell)
        changed = at.tm_gmtoff != before.tm_gmtoff
        day = at.tm_yday != before.tm_yday
        crossed = day or at.tm_hour // step != before.tm_hour // step
        before = at
        text = time.strftime("%a %d" if day else "%H:%M", at)
        if not (crossed or changed) or cell + len(text) > window.cells:
            continue
        while found and (day or changed) and not _room(found[-1], cell):
            found.pop()
        if not found or _room(found[-1], cell):
            found.append(Label(cell, text, day, changed))
    return found


def _room(before: Label, cell: int) -> bool:
    return cell > before.cell + len(before.text)


def moment(when: float) -> str:
    """Day and time: `Thu 14:30`."""
    return time.strftime("%a %H:%M", time.localtime(when))
