"""What the palette lists (actions, citizens, tasks), and which of it a few letters mean."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from typing import Any

from textual.app import App

from tui.common.task_ref import Place, TaskRef
from tui.keys import active_keys

GoTo = Callable[[Place], object]
OF_ROW = ("force", "reset", "pause", "stop")  # what is done to the row under the cursor
EDGES = frozenset("/_- ")
WHOLE, START, EDGE, SCATTERED = 1000, 600, 300, 400


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose: what it is called, what is said beside it, and what choosing it does."""

    label: str
    beside: str
    choose: Callable[[], object]


def everything(
    app: App[Any],
    strands: Sequence[TaskRef],
    go_to: GoTo,
    start_here: Callable[[], object],
    here: TaskRef | None = None,
) -> list[Entry]:
    """All that can be done on this screen, in part to the task of the cursor; then all there is to go to."""
    citizens = dict.fromkeys(strand.citizen for strand in strands)
    return [
        *_actions(app, here),
        Entry("start here: the first steps", "", start_here),
        *(Entry(name, "citizen", partial(go_to, Place(name))) for name in citizens),
        *(Entry("/".join(each.row), each.task.kind.value, partial(go_to, each.row)) for each in strands),
    ]


def _actions(app: App[Any], here: TaskRef | None) -> Iterator[Entry]:
    """Each action once, under the first of its keys."""
    known = {"palette"}
    for _, active in active_keys(app.screen):
        binding = active.binding
        if not binding.id or binding.id in known or not active.enabled:
            continue
        known.add(binding.id)
        words = action_words(binding.id, binding.description, binding.tooltip or "", here)
        act = partial(app.call_later, app.run_action, binding.action, active.node)
        yield Entry(words, app.get_key_display(binding), act)


def action_words(name: str, verb: str, about: str, here: TaskRef | None) -> str:
    """What an action is called; one that is done to the row under the cursor names it."""
    if here is None or name not in OF_ROW:
        return about if verb in about else f"{verb}: {about}" if about else verb
    said, _, rest = about.partition(": ")
    if name == "stop":
        said, rest = verb, "" if here.task.running_since is not None else "it is not running"
    return f"{said} {here.citizen}/{here.task.name}{f': {rest}' if rest else ''}"


# Textual's own matcher takes up to 98 ms of processor time for a key among 7,000 names, this one 5.
def best(query: str, entries: Sequence[Entry], most: int) -> tuple[list[Entry], int]:
    """The entries that the query may mean, the likeliest first, and how many there are.

    While it is empty they are in their own order.
    """
    needles = query.casefold().split()
    if not needles:
        return list(entries[:most]), len(entries)
    totals = ((_total(needles, entry.label.casefold()), -place) for place, entry in enumerate(entries))
    found = [each for each in totals if each[0] is not None]
    return [entries[-place] for _, place in nlargest(most, found)], len(found)


def _total(needles: Sequence[str], words: str) -> int | None:
    scores = [score(needle, words) for needle in needles]
    return None if None in scores else sum(filter(None, scores))


def score(needle: str, words: str) -> int | None:
    """How well these letters fit the words; None if they are not all there, in this order."""
    at = words.find(needle)
    if at >= 0:
        edge = START if at == 0 else EDGE if words[at - 1] in EDGES else 0
        return WHOLE + edge - at - len(words)
    first = last = words.find(needle[0])
    for letter in needle[1:]:
        if last < 0:
            return None
        last = words.find(letter, last + 1)
    return SCATTERED - 4 * (last - first) - len(words) if last >= 0 else None
