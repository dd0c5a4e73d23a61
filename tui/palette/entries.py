"""What the palette lists (actions, citizens, tasks), and which of it a few letters mean."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from typing import Any

from textual.app import App

from tui.common.task_ref import TaskRef
from tui.fleet.board import Place
from tui.keys import active_keys

GoTo = Callable[[Place], object]
EDGES = frozenset("/_- ")
WHOLE, START, EDGE, SCATTERED = 1000, 600, 300, 400


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose: what it is called, what is said beside it, and what choosing it does."""

    label: str
    beside: str
    choose: Callable[[], object]


def everything(
    app: App[Any], strands: Sequence[TaskRef], go_to: GoTo, start_here: Callable[[], object]
) -> list[Entry]:
    """All that can be done on this screen, then all there is to go to."""
    citizens = dict.fromkeys(strand.citizen for strand in strands)
    return [
        *_actions(app),
        Entry("start here: the first steps", "", start_here),
        *(Entry(name, "citizen", partial(go_to, Place(name))) for name in citizens),
        *(
            Entry("/".join(each.row), each.task.kind.value, partial(go_to, Place(*each.row)))
            for each in strands
        ),
    ]


def _actions(app: App[Any]) -> Iterator[Entry]:
    """Each action once, under the first of its keys."""
    known = {"palette"}
    for _, active in active_keys(app.screen):
        binding = active.binding
        if not binding.id or binding.id in known or not active.enabled:
            continue
        known.add(binding.id)
        about = binding.tooltip
        words = f"{binding.description}: {about}" if about else binding.description
        act = partial(app.call_later, app.run_action, binding.action, active.node)
        yield Entry(words, app.get_key_display(binding), act)


# Textual's own matcher takes up to 98 ms of processor time for a key among 7,000 names, this one 5.
def best(query: str, entries: Sequence[Entry], most: int) -> list[Entry]:
    """The entries that the query may mean, the likeliest first; in their own order while it is empty."""
    needles = query.casefold().split()
    if not needles:
        return list(entries[:most])
    found = ((_total(needles, entry.label.casefold()), -place) for place, entry in enumerate(entries))
    return [entries[-place] for _, place in nlargest(most, (each for each in found if each[0] is not None))]


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
