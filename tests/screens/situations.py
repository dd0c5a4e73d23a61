"""Named situations that a screen can be in: snapshots, screenshots and tests all draw from here.

`python -m tests.screens.situations hostile` opens one of them in the terminal.
"""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.state import Failure
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import OWNER_GONE, Event, Heartbeat, Snapshot, TaskStatus, TaskView, WakeView
from tests.fakes import NOON, FakeClock, FakeControl, FakeFleet
from tests.screens.several_machines import one_fleet
from tui.app import ExperienceApp
from tui.demo.data import NAMES
from tui.demo.fleet import DemoControl, started
from tui.demo.scripts import script

BUSY = 12.0  # seconds before noon at which the long runs of the demo begin
HOSTILE = (
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m [/red] [@click=quit]x[/] \u202egnp.exe\u202c \x9b2J zero\u200bwidth"
)


@dataclass(frozen=True)
class Situation:
    """A fleet, a terminal, and the keys that lead to what is to be seen."""

    fleet: Callable[[], FakeFleet]
    size: tuple[int, int] = (120, 40)
    keys: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def app(self) -> ExperienceApp:
        return ExperienceApp(self.fleet(), **self.options)


@cache
def at_noon(citizen: str) -> tuple[DemoControl, FakeControl]:
    """A citizen of the demo after a quarter of an hour, and a stand-in that answers as it does."""

    async def live() -> tuple[DemoControl, FakeControl]:
        clock = FakeClock(NOON - 900)
        (control,) = await started([citizen], clock, NOON - BUSY)
        await clock.advance(900)
        fake = FakeControl(control.snapshot())
        names = [task.name for task in fake.snapshot.tasks]
        for name in names:
            newest = await control.history(name, limit=60)
            fake.runs += newest
            fake.outputs |= {run.id: await control.output(run.id) for run in newest}
            fake.details[name] = await control.explain(name)
        return control, fake

    with ThreadPoolExecutor(1) as pool:  # a test may have a loop of its own here
        return pool.submit(lambda: asyncio.run(live())).result()


def copy_of(citizen: str, **changes: Any) -> FakeControl:
    """A citizen of the demo at noon, for one test; `changes` are made to its snapshot."""
    control, made = at_noon(citizen)
    fake = FakeControl(replace(made.snapshot, **changes))
    fake.runs, fake.outputs, fake.details = made.runs, made.outputs, made.details
    fake.slots = control.slots
    for task in fake.snapshot.tasks:
        if task.running_since is not None:
            fake.prints(task.name, script(task.name, Outcome.OK))
    return fake


def demo(*names: str, **changes: Any) -> Callable[[], FakeFleet]:
    """Citizens of the demo as they are at noon; `changes` are made to the last of them."""

    def fleet() -> FakeFleet:
        *others, last = names
        return FakeFleet(*map(copy_of, others), copy_of(last, **changes))

    return fleet


def of(*snapshots: Snapshot, **view: Any) -> Callable[[], FakeFleet]:
    return lambda: FakeFleet(*map(FakeControl, snapshots), **view)


def stalled() -> FakeFleet:
    fleet = demo("opus", "basil", "mira", stale=f"{OWNER_GONE}: process 4711 ended")()
    for control in fleet.view.controls[:2]:
        control.beat = Heartbeat(5.4, "opus/price_monitor")
    return fleet


def task(name: str, **more: Any) -> TaskView:
    """A task that ran a minute ago and is due in four."""
    given = {
        "kind": TaskStatus.OK,
        "schedule": "5m",
        "due": NOON + 240,
        "since": NOON - 60,
        "last_run": NOON - 60,
    }
    return TaskView(name=name, **{**given, "run_count": 42, **more})


def failed(name: str, error: str, **more: Any) -> TaskView:
    given = {"error": Failure(NOON - 3600, error), "failures_in_a_row": 2, **more}
    return task(name, kind=TaskStatus.FAILED, **given)


def events(citizen: str, *happened: tuple[float, str, str, Outcome | None, str], first: int = 1) -> tuple:
    """What happened at so many seconds after noon: kind, task, outcome and text, numbered from `first`."""
    return tuple(
        Event(first + n, NOON + at, kind, citizen, task, outcome, text, Trigger.SCHEDULE)
        for n, (at, kind, task, outcome, text) in enumerate(happened)
    )


FROZEN = Freeze(NOON - 540, NOON + 17 * 3600, "ct", "invoices are under review")
HOSTILES = Snapshot(
    "opus",
    (
        failed("heartbeat", HOSTILE),
        failed("news_scan", "日本語のエラー 🙂 été e\u0301 ☕\ufe0f 🇩🇪 👨\u200d👩\u200d👧 \ud800 " * 3),
        task("report", text=HOSTILE, schedule="0 9 * * mon-fri"),
        task("mail", kind=TaskStatus.WARNING, text="first\nsecond\tthird"),
        task("\x1b[2Jwipe", kind=TaskStatus.NOT_SET_UP, missing="\x07bell"),
    ),
    wake=WakeView(3, NOON + 60, error="\x1b[5mblink"),
    owner="pid \x1b[7m4711",
    problems=("experience.toml: \x00 unknown key 'evil\x1b[0m'",),
    events=events(
        "opus",
        (-9, "started", "heartbeat", None, ""),
        (-8, "finished", "heartbeat", Outcome.FAILED, HOSTILE),
        (-7, "finished", "\x1b[2Jwipe", Outcome.WARNING, "日本語のエラー 🙂 ☕\ufe0f 🇩🇪 " * 9),
        (-6, "\x1b[5mblink", "mail", None, "first\nsecond\tthird"),
    ),
)

# Its owner died: a run of it lives on, a task and the wake are due.
LEFT = Snapshot(
    "hermes",
    (
        task("wake", due=NOON - 12, number=7),
        task("digest", note="waits for pid 4176, started by an owner that died", due=NOON - 60),
        task("report", due=NOON - 12),
        task("mail"),
    ),
    owner="attached, pid 24980",
    stale=f"{OWNER_GONE}: process 24980 ended",
)
FRESH = Snapshot(
    "opus",
    (
        task("heartbeat", kind=TaskStatus.NEVER, due=NOON, since=None, last_run=None, run_count=0),
        *(
            task(name, kind=TaskStatus.NOT_SET_UP, due=None, missing=missing, run_count=0)
            for name, missing in (("price_monitor", "pairs"), ("email_check", "host"), ("news_scan", "feeds"))
        ),
        task("memory_summary", kind=TaskStatus.NEVER, due=NOON + 1, since=None, last_run=None, run_count=0),
    ),
    wake=WakeView(configured=False),
)

SITUATIONS = {
    "empty": Situation(of(root="/srv/citizens"), (80, 24)),
    "broken_settings": Situation(of(root="/srv", problems=("x.toml: line 3: what is 'evry'?",)), (80, 24)),
    "no_tasks": Situation(of(Snapshot("opus", wake=WakeView(configured=False))), (80, 24)),
    "fresh": Situation(of(FRESH), (80, 24)),
    "loading": Situation(of(loading=True), (80, 24)),
    "normal": Situation(demo("hazel", "juno", "wren")),
    "normal_80x24": Situation(demo("hazel", "juno", "wren"), (80, 24)),
    "one_wide": Situation(demo("opus"), (140, 20)),
    "failing": Situation(demo("opus", "dawn", "zephyr", "atlas")),
    "running": Situation(
        demo("aria", "fern", "opus", wake=WakeView(1679, NOON + 500, running_since=NOON - 33))
    ),
    "paused": Situation(demo("clio", "opus"), (80, 24)),
    "frozen": Situation(demo("hazel", "opus", "aria", freeze=FROZEN)),
    "frozen_80x24": Situation(demo("hazel", "juno", "aria", freeze=FROZEN), (80, 24)),
    "frozen_unreadable": Situation(
        demo("hazel", "aria", freeze=Freeze(NOON, problem=f"/srv/aria/.experience/freeze.json: {HOSTILE}"))
    ),
    "freeze": Situation(demo("hazel", "aria"), (90, 24), ("Z", *"8:00", "tab", *"invoices")),
    "thaw": Situation(demo("hazel", "aria", freeze=FROZEN), (90, 24), ("Z",)),
    "not_set_up": Situation(demo("mira", "basil", "cedar")),
    "not_saved": Situation(demo("hazel", "juno", unsaved="No space left on device: /srv/juno"), (80, 24)),
    "stalled": Situation(stalled),
    "attached": Situation(
        demo("hazel", owner="attached, pid 4711", wake=WakeView(12, configured=False)), (80, 24)
    ),
    "narrow": Situation(demo("opus", "mira"), (60, 12)),
    "tiny": Situation(demo("opus", "mira"), (20, 4)),
    "fleet": Situation(demo(*NAMES)),
    "light": Situation(demo(*NAMES), keys=("T",)),
    "ascii": Situation(demo("opus", "dawn", "zephyr"), options={"ascii": True}),
    "read_only": Situation(demo("hazel", "juno"), (80, 24), options={"read_only": True}),
    "hostile": Situation(of(HOSTILES), (80, 24)),
    "marked": Situation(demo("opus", "mira"), (80, 24), ("space", "space", "s")),
    "filtered": Situation(demo(*NAMES), keys=("slash", *"failed", "enter")),
    "typing_a_filter": Situation(demo("opus", "mira"), (80, 24), ("slash", *"!mail")),
    "nothing_matches": Situation(demo("opus", "mira"), (80, 24), ("slash", *"zzz", "enter")),
    "confirm": Situation(demo("opus", "dawn", "zephyr"), (80, 24), ("F",)),
    "stop": Situation(demo("aria", "opus"), (80, 24), ("slash", *"aria dream", "enter", "x")),
    "take_over": Situation(of(LEFT), (80, 24), ("O",)),
    "quit": Situation(demo("opus", "aria"), (80, 24), ("q",)),
    "table": Situation(demo("opus", "mira", "clio", "aria"), keys=("v", "down")),
    "table_80x24": Situation(demo("opus", "mira", "clio", "aria"), (80, 24), ("v",)),
    "table_wide": Situation(demo("opus", "mira", "clio", "aria", freeze=FROZEN), (200, 40), ("v", "s", "R")),
    "table_narrow": Situation(demo("opus", "mira"), (40, 12), ("v", "space")),
    "log": Situation(demo(*NAMES), keys=("l",)),
    "log_80x24": Situation(demo(*NAMES), (80, 24), ("l",)),
    "log_narrow": Situation(demo("opus", "mira"), (60, 12), ("l",)),
    "log_light": Situation(demo(*NAMES), (100, 30), ("T", "l")),
    "log_ascii": Situation(demo("opus", "mira"), (80, 24), ("l",), {"ascii": True}),
    "log_paused": Situation(demo(*NAMES), (80, 24), ("l", "up", "pageup")),
    "log_filtered": Situation(demo(*NAMES), (80, 24), ("l", "ampersand", *"failed", "enter")),
    "log_searched": Situation(demo(*NAMES), (80, 24), ("l", "slash", *"heartbeat", "enter", "N")),
    "log_empty": Situation(of(Snapshot("opus")), (80, 24), ("l",)),
    "log_hostile": Situation(of(HOSTILES), (80, 24), ("l",)),
    "timeline": Situation(demo(*NAMES), keys=("t", *["right"] * 9)),
    "timeline_80x24": Situation(demo("opus", "mira", "clio"), (80, 24), ("t",)),
    "timeline_zoomed": Situation(
        demo("opus", "mira", "clio"), (120, 30), ("t", "plus", "plus", "plus", "down")
    ),
    "timeline_narrow": Situation(demo("opus", "mira"), (60, 12), ("t",)),
    "timeline_light": Situation(demo("opus", "mira", "clio"), (100, 30), ("T", "t", "minus")),
    "timeline_ascii": Situation(demo("opus", "mira"), (100, 24), ("t",), {"ascii": True}),
    "timeline_empty": Situation(of(Snapshot("opus")), (80, 24), ("t",)),
    "timeline_hostile": Situation(of(HOSTILES), (80, 24), ("t",)),
    "palette": Situation(demo(*NAMES), (100, 30), ("colon", *"ne sc")),
    "palette_narrow": Situation(demo("opus"), (60, 12), ("colon",)),
    "palette_hostile": Situation(of(HOSTILES), (80, 24), ("colon", *"opus")),
    "help": Situation(demo("opus", "aria"), (100, 40), ("question_mark",)),
    "machines": Situation(one_fleet),
    "machines_80x24": Situation(one_fleet, (80, 24)),
}

if __name__ == "__main__":
    SITUATIONS[sys.argv[1]].app().run()
