"""What the palette lists: what every key does, every citizen and every task."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from textual.app import App

from tui.common.task_ref import TaskRef
from tui.fleet.board import Place
from tui.keys import active_keys
from tui.palette.screen import Entry

GoTo = Callable[[Place], object]


def everything(app: App[Any], strands: Sequence[TaskRef], go_to: GoTo) -> list[Entry]:
    """All that can be done on this screen, then all there is to go to."""
    citizens = dict.fromkeys(strand.citizen for strand in strands)
    return [
        *_actions(app),
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
