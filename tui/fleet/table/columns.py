"""The columns of the table: their titles, content, sort keys, and which ones fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from scheduler.core.state import first_line
from scheduler.core.views import TaskStatus, TaskView
from tui.common import amounts
from tui.common import text as words
from tui.common.task_ref import TaskRef
from tui.common.usual_duration import Usual
from tui.fleet.panels.contents import progress_words
from tui.fleet.panels.holding import held_in_full
from tui.fleet.panels.rows import STYLES, state_words
from tui.glyphs import Glyphs

WIDE = 160  # cells from which there are more and wider columns
SAYS = 20  # fewest cells of a column of text
EDGE = 3  # cells for the cursor and the sign
FEWEST = 10  # cells left over, from which money is shown besides the time
BAD = "x"
Key = float | str | None
Piece = tuple[str, str]  # text and the name of its style


@dataclass(frozen=True, slots=True)
class Moment:
    """What a cell may depend on besides its task."""

    now: float
    glyphs: Glyphs
    usual: Callable[[TaskRef], Usual | None]
    held: Callable[[str], str]  # why nothing of a citizen runs, empty if it does
    machine: Callable[[str], str] = lambda citizen: ""  # where a citizen runs, if there are several


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `left` aligns it left, `key` is its sort key: rows without one come last."""

    name: str
    cells: int
    show: Callable[[TaskRef, Moment], Piece]
    key: Callable[[TaskRef], Key]
    gap: int = 2
    left: bool = False
    ticks: bool = False  # whether it changes with time; such columns are adjacent


def _who(ref: TaskRef, at: Moment) -> Piece:
    return words.clean(ref.citizen, at.glyphs.plain), "faint"


def _task(ref: TaskRef, at: Moment) -> Piece:
    quiet = ref.task.kind in (TaskStatus.PAUSED, TaskStatus.NOT_SET_UP) or at.held(ref.citizen)
    style = "running" if ref.task.running_since is not None else "faint" if quiet else "ink"
    return words.clean(ref.task.name, at.glyphs.plain), style


def _next(ref: TaskRef, at: Moment) -> Piece:
    task = ref.task
    if task.running_since is not None:
        return words.elapsed(at.now - task.running_since), "running"
    due = _begins(task)
    if at.held(ref.citizen) or due is None:
        return at.glyphs.nothing, "faint"
    left = words.countdown(due - at.now)
    return left, "warning" if left == "now" or task.held else "ink"


def _begins(task: TaskView) -> float | None:
    """When the task may run next, as far as that is known."""
    if task.held:
        return task.held.until or task.due
    return None if state_words(task) else task.due


def _last(ref: TaskRef, at: Moment) -> Piece:
    last = ref.task.last_run
    return (at.glyphs.nothing if last is None else words.elapsed(at.now - last)), "faint"


def _took(ref: TaskRef, at: Moment) -> Piece:
    took, known = ref.task.last_duration, at.usual(ref)
    if took is None:
        return "", "faint"
    return words.took(took), "warning" if known and known.slow(took) else "ink"


def _usually(name: str) -> Callable[[TaskRef, Moment], Piece]:
    def show(ref: TaskRef, at: Moment) -> Piece:
        known = at.usual(ref)
        return (words.took(getattr(known, name)) if known else ""), "faint"

    return show


def _runs(ref: TaskRef, at: Moment) -> Piece:
    return (words.count(ref.task.run_count) if ref.task.run_count else ""), "faint"


def _cost_column(name: str, cells: int, spent: Callable[[TaskView], str]) -> Column:
    def key(ref: TaskRef) -> Key:
        found = amounts.amount(spent(ref.task))
        return None if found is None else float(found)

    def show(ref: TaskRef, at: Moment) -> Piece:
        text = amounts.spent(spent(ref.task))
        return text if len(text) <= cells else amounts.brief(spent(ref.task)), "ink"

    return Column(name, cells, show, key)


def _machine(ref: TaskRef, at: Moment) -> Piece:
    return words.clean(at.machine(ref.citizen), at.glyphs.plain), "faint"


def _says(ref: TaskRef, at: Moment) -> Piece:
    said, style = says(ref, at)
    return words.clean(said, at.glyphs.plain), style


def says(ref: TaskRef, at: Moment) -> Piece:
    """The news of a task, in words not yet cleaned, with their style."""
    task = ref.task
    if task.running_since is not None:
        return _progress(ref, at), "running"
    if (held := at.held(ref.citizen)) and task.is_wake:
        return held, "warning"
    if task.held and not task.queued:
        return held_in_full(task.held), "warning"
    if reason := state_words(task, frozen=bool(held)):
        return reason, "faint"
    if task.error is not None:
        return task.error.first_line or "failed without a message", "failed"
    said = first_line(task.text)
    return said, "warning" if task.kind is TaskStatus.WARNING else "faint"


def _progress(ref: TaskRef, at: Moment) -> str:
    task, known = ref.task, at.usual(ref)
    gone = at.now - (task.running_since or at.now)
    slow = "slow" if known and known.slow(gone) else ""
    return at.glyphs.dot.join(filter(None, [progress_words(task, at.glyphs), slow]))


def _due(ref: TaskRef) -> Key:
    return -1.0 if ref.task.running_since is not None else _begins(ref.task)


def _badness(ref: TaskRef) -> Key:
    return float(ref.task.recent.count(BAD)) if ref.task.recent else None


def _ago(ref: TaskRef) -> Key:
    return None if ref.task.last_run is None else -ref.task.last_run


WHO = Column("who", 6, _who, lambda ref: ref.citizen, gap=0, left=True)
WIDER_WHO = Column("citizen", 12, _who, lambda ref: ref.citizen, gap=0, left=True)
TASK = Column("task", 14, _task, lambda ref: ref.task.name, gap=1, left=True)
NEXT = Column("next", 6, _next, _due, gap=1, ticks=True)
LAST = Column("last", 6, _last, _ago, ticks=True)
TOOK = Column("took", 6, _took, lambda ref: ref.task.last_duration)
P50 = Column("p50", 6, _usually("p50"), lambda ref: None)
P95 = Column("p95", 6, _usually("p95"), lambda ref: None)
RECENT = Column("last ten", 10, lambda ref, at: (ref.task.recent, ""), _badness, left=True)
RUNS = Column("runs", 6, _runs, lambda ref: float(ref.task.run_count))
TODAY = _cost_column("today", 6, lambda task: task.cost_today)
MONTH = _cost_column("month", 7, lambda task: task.cost_month)
MACHINE = Column("machine", 10, _machine, lambda ref: None, left=True)
SAYS_COLUMN = Column("says", SAYS, _says, lambda ref: None, left=True)

_ALL = (WHO, TASK, NEXT, LAST, TOOK, P50, RECENT, RUNS, TODAY, SAYS_COLUMN)
# In this order, if there is not room for all.
_DROPPED = (SAYS_COLUMN, RUNS, P50, LAST, TOOK, RECENT, TODAY)
SORTABLE = frozenset(("who", "citizen", "task", "next", "last", "took", "last ten", "runs", "today", "month"))


@lru_cache(maxsize=8)
def columns_for(width: int, longest: int, shared: bool = False) -> tuple[Column, ...]:
    """The columns that fit into `width` cells; `longest` is the longest task name.

    `shared`: several machines run the citizens.
    """
    wide = width >= WIDE
    chosen = [WIDER_WHO if wide else WHO, *_ALL[1:]]
    if wide:
        chosen.insert(chosen.index(P50) + 1, P95)
        chosen.insert(chosen.index(TODAY) + 1, MONTH)
        chosen[-1:-1] = [MACHINE] if shared else []
    for column in (P95, MONTH, MACHINE, *_DROPPED):
        if cells_of(chosen) <= width - (1 if column is not TODAY else FEWEST):
            break
        chosen = [each for each in chosen if each is not column]
    spare = width - 1 - cells_of(chosen)
    named = max(TASK.cells, min(longest, TASK.cells + spare // 2))
    spare -= named - TASK.cells
    grown = {TASK.name: named, SAYS_COLUMN.name: SAYS + spare}
    return tuple(replace(each, cells=grown.get(each.name, each.cells)) for each in chosen)


def cells_of(columns: Sequence[Column]) -> int:
    """The cells of a row with these columns, without the rest of the line."""
    return EDGE + sum(column.gap + column.cells for column in columns)


def sign(ref: TaskRef, at: Moment) -> Piece:
    """The sign for the task's state."""
    return at.glyphs.kind[ref.task.kind], STYLES[ref.task.kind]
