"""The lines below the table: the cut-off parts of the row under the cursor."""

from scheduler.core.views import TaskView
from scheduler.core.wording.text import ordinal
from tui.common import text as words
from tui.common.task_ref import TaskRef
from tui.fleet.table.columns import Moment, Piece, says, sign

Pieces = tuple[Piece, ...]


def about(ref: TaskRef, at: Moment, width: int, place: str, says_is_shown: bool) -> tuple[Pieces, Pieces]:
    """Two lines of `width` cells; `place` is the position in the list, empty if all of it is in sight."""
    glyphs, task = at.glyphs, ref.task
    said, style = says(ref, at)
    if not said and task.running_since is not None:
        said = f"running since {words.wall(task.running_since)}"
    said = words.clean(said, glyphs.plain)
    every, streak, fine, slow = _every(ref, at), _streak(task), _last_ok(task, at), _slow(ref, at)
    if not says_is_shown:
        first = glyphs.dot.join(filter(None, [f"{sign(ref, at)[0]} {said}", streak]))
        rest = glyphs.dot.join(filter(None, [every, fine, slow.partition(" is ")[2]]))
        return _line(first, style, "", width, at), _line(rest, "ink", place, width, at)
    name = words.clean(f"{ref.citizen}/{task.name}", glyphs.plain)
    waits = task.due and task.running_since is None and not at.held(ref.citizen)
    nexts = [f"next {words.moment(task.due, at.now)}"] if task.due and waits else []
    groups = [", ".join([every, *nexts]), ", ".join(filter(None, [streak, fine])), slow]
    facts = words.fit(glyphs.dot.join(filter(None, groups)), width - words.cells(name) - 4, glyphs.ellipsis)
    return ((f" {name}  ", "title"), (facts, "ink")), _line(f"  {said}", style, place, width, at)


def _line(said: str, style: str, place: str, width: int, at: Moment) -> Pieces:
    room = max(0, width - 2 - words.cells(place) - 2 * bool(place))
    return (f" {words.fit(said, room, at.glyphs.ellipsis)} ", style), (f" {place}" * bool(place), "faint")


def _every(ref: TaskRef, at: Moment) -> str:
    every = words.clean(ref.task.schedule, at.glyphs.plain)
    return every if " " in every or every.startswith("@") else f"every {every}"


def _streak(task: TaskView) -> str:
    many = task.error is not None and task.failures_in_a_row > 1
    return f"{ordinal(task.failures_in_a_row)} failure in a row" if many else ""


def _last_ok(task: TaskView, at: Moment) -> str:
    known = task.last_success is not None and task.error is not None
    return f"last ok {words.ago(at.now - (task.last_success or 0.0))} ago" if known else ""


def _slow(ref: TaskRef, at: Moment) -> str:
    known, took = at.usual(ref), ref.task.last_duration
    if known is None or took is None or not known.slow(took):
        return ""
    return f"{words.took(took)} is slower than usual (p50 {words.took(known.p50)})"
