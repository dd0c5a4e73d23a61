"""Each key of each screen changes what is to be seen there, or asks a citizen for something."""

import pytest

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.ui_options import EVERYWHERE, KEYS
from scheduler.core.views import Snapshot
from tests.each import each
from tests.fakes import NOON, FakeControl, FakeFleet
from tests.screens.driving import press, screen, settled, shown, toasts
from tests.screens.situations import events, failed, task

# How to get to each screen, and what comes first where a key would have nothing to do.
LEADS_TO = {"fleet": (), "log": ("l",), "timeline": ("t",), "details": ("enter",)}
FIRST = {
    "up": ("down", "down"),
    "page-up": ("G",),
    "first": ("G",),
    "last": ("g",),
    "left": ("right",),
    "before": ("tab",),
    "now": ("right",),
    "clear": (),
    "reverse": ("v",),
    "problem-before": ("down", "down"),
}
ONLY_OF = {
    ("fleet", "clear"): ("slash", *"mira", "enter"),
    ("fleet", "lower"): ("slash", *"t01", "enter"),
    ("log", "page-down"): ("g",),
    ("log", "down"): ("g",),
    ("log", "last"): ("g",),
    **{("log", name): ("slash", *"try", "enter") for name in ("next-hit", "hit-before")},
    **{("details", name): ("slash", *"failed", "enter") for name in ("next-hit", "hit-before")},
    ("details", "page-down"): ("g",),
    ("details", "page-up"): ("G",),
}
ANSWERED = {"quit", "screenshot"}  # by the end of the program, and by a file: tested by themselves


def fleet() -> FakeFleet:
    controls = []
    for name in ("aria", "mira", "opus"):
        rows = (failed("news", "no route"), *(task(f"t{n:02}", text="fine") for n in range(30)))
        happened = ((n, "finished", "news", Outcome.FAILED, f"try {n}") for n in range(60))
        control = FakeControl(Snapshot(name, rows, events=events(name, *happened)))
        control.times = {row.name: (NOON + 7200.0,) for row in rows}
        control.runs = tuple(
            RunRecord(n, "news", NOON - 60 * n, NOON - 60 * n + 9, 9.0, Outcome.FAILED, Trigger.SCHEDULE)
            for n in range(1, 45)
        )
        controls.append(control)
    return FakeFleet(*controls)


@pytest.mark.timeout(600)  # some hundred screens are opened
@each("where", LEADS_TO)
async def test_each_key_does_something_that_is_to_be_seen(where):
    named = {**KEYS[EVERYWHERE], **KEYS[where]}
    cases = [(name, key) for name in named.keys() - ANSWERED for key in named[name].split(",")]
    assert [case for case in sorted(cases) if not await does_something(where, *case)] == []


async def does_something(where: str, name: str, key: str) -> bool:
    people = fleet()
    async with screen(people, size=(120, 30)) as pilot:
        await press(pilot, *LEADS_TO[where], *ONLY_OF.get((where, name), FIRST.get(name, ())))
        await settled(pilot)
        before = seen(pilot, people)
        await press(pilot, key)
        await settled(pilot)
        return seen(pilot, people) != before


def seen(pilot, people: FakeFleet) -> tuple:
    """What a person sees, and what was asked of citizens; theme and focus are colours, which no text has."""
    asked = [control.asked for control in people.view.controls]
    return shown(pilot), str(asked), pilot.app.theme, pilot.app.focused, tuple(toasts(pilot))
