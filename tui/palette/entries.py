"""What the palette lists (actions, citizens, tasks), and which entries match a few letters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from typing import Any

from textual.app import App

from tui.common.task_ref import Place, TaskRef
from tui.keys import active_keys

GoTo = Callable[[Place], object]
OF_ROW = ("force", "reset", "pause", "stop")  # actions on the row under the cursor
EDGES = frozenset("/_- ")
WHOLE, START, EDGE, SCATTERED = 1000, 600, 300, 400


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its label, the words next to it, and what choosing it does."""

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
    """All actions on this screen, some of them for the task under the cursor; then all places to go to."""
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
    """The name of an action; if it acts on the row under the cursor, with that row's name."""
    if here is None or name not in OF_ROW:
        return about if verb in about else f"{verb}: {about}" if about else verb
    said, _, rest = about.partition(": ")
    if name == "stop":
        said, rest = verb, "" if here.task.running_since is not None else "it is not running"
    return f"{said} {here.citizen}/{here.task.name}{f': {rest}' if rest else ''}"


# For a key among 7,000 names, Textual's own matcher takes up to 98 ms of CPU time, this one 5.
def best(query: str, entries: Sequence[Entry], most: int) -> tuple[list[Entry], int]:
    """The best matches for the query, at most `most`, and the number of all matches.

    An empty query keeps the entries in their own order.
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
    """How well these letters match the words; None if not all of them occur in this order."""
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
