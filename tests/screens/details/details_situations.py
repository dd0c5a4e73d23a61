"""Situations of the details screen, each reached by keys alone.

`python -m tests.screens.details.details_situations NAME` opens one of them in the terminal.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.core.views import Snapshot, TaskStatus
from scheduler.core.wording.description import DefinitionField, TaskDetails
from tests.fakes import NOON, FakeControl, FakeFleet
from tests.screens.situations import HOSTILE, Situation, copy_of, failed, task

ODD = (
    "\x1b]52;c;c2VjcmV0\x07 clipboard \x1b]0;owned\x07 title \x1b[31mred\x1b[0m \x1b[5mblink\x1b[8mhidden\n"
    "\x1b[0m[/red] [@click=quit]x[/] \u202egnp.exe\u202c zero\u200bwidth \x9b31mC1\x9c \x9d0;owned\x07\n"
    "\x90q\x1b\\ \x00\x07\n"
    "progress 10%\rprogress 99%\n日本語のエラー 🙂 été e\u0301 ☕\ufe0f 🇩🇪 👨\u200d👩\u200d👧 \ud800\n"
    "a\tb\tc \x1b[2J\x1b[1;1Hwipe \x1b[?1049l \x1b[6n \x1bc \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n"
)
ONE_LINE = "x" * 500_000 + "\x1b]0;owned\x07" + "日" * 100_000


def of(*controls: Callable[[], FakeControl]) -> Callable[[], FakeFleet]:
    return lambda: FakeFleet(*(control() for control in controls))


def opening(row: int, *more: str) -> tuple[str, ...]:
    """The keys that lead from the fleet to the details of the task in this row."""
    return (*["down"] * row, "enter", *more)


def run(number: int, outcome: Outcome = Outcome.OK, text: str = "fine", **more: Any) -> RunRecord:
    at = NOON - 400 + number
    given = {"trigger": Trigger.SCHEDULE, "printed": True, **more}
    return RunRecord(number, given.pop("task", "report"), at, at + 2, 2.0, outcome, text=text, **given)


def hostile() -> FakeControl:
    """Everything that others write does what it can to a terminal."""
    tasks = (failed("report", HOSTILE), failed("\x1b[2Jwipe", HOSTILE), task("long", text="x" * 100_000))
    control = FakeControl(Snapshot("opus", tasks, owner="pid \x1b[7m4711", unsaved="\x1b[5mfull"))
    control.runs = (
        run(1, Outcome.FAILED, HOSTILE),
        run(2, Outcome.WARNING, "日本語 " * 400),
        run(3, Outcome.FAILED, f"{HOSTILE}\nsecond line \x07"),
        run(4, Outcome.OK, ONE_LINE, task="long"),
    )
    control.outputs = {1: ODD, 2: ODD * 20, 3: ODD, 4: ONE_LINE}
    facts = (
        DefinitionField("schedule", HOSTILE),
        DefinitionField("\x1b[2Jlabel", ODD),
        DefinitionField("runs", "y" * 5000),
    )
    control.details = {name: TaskDetails(name, facts, facts, (NOON + 5,)) for name in ("report", "long")}
    return control


def never() -> FakeControl:
    first = task("report", kind=TaskStatus.NEVER, last_run=None, since=NOON, run_count=0, due=NOON + 300)
    return FakeControl(Snapshot("opus", (first,)))


def halfway() -> FakeControl:
    """A run that tells how far it is, and prints more than a screen."""
    control = copy_of("fern")
    rows = tuple(
        replace(row, progress=Progress(24, 40, "24/40 files")) if row.name == "offsite_backup" else row
        for row in control.snapshot.tasks
    )
    control.snapshot = replace(control.snapshot, tasks=rows)
    return control


DETAILS = {
    "details": Situation(of(lambda: copy_of("hazel")), keys=opening(4)),
    "details_failing": Situation(of(lambda: copy_of("opus")), keys=opening(4)),
    "details_80x24": Situation(of(lambda: copy_of("opus")), (80, 24), opening(4)),
    "details_wide": Situation(of(lambda: copy_of("opus")), (200, 60), opening(4, "down", "down")),
    "details_narrow": Situation(of(lambda: copy_of("opus")), (60, 12), opening(4)),
    "details_narrow_output": Situation(of(lambda: copy_of("opus")), (60, 12), opening(4, "tab")),
    "details_tiny": Situation(of(lambda: copy_of("opus")), (20, 4), opening(4)),
    "details_reading": Situation(of(lambda: copy_of("opus")), (80, 24), opening(4, "enter")),
    "details_running": Situation(of(halfway), keys=opening(7)),
    "details_running_80x24": Situation(of(lambda: copy_of("opus")), (80, 24), opening(3)),
    "details_not_followed": Situation(of(halfway), (80, 24), opening(7, "tab", "up", "up")),
    "details_not_set_up": Situation(of(lambda: copy_of("opus")), (80, 24), opening(5)),
    "details_paused": Situation(of(lambda: copy_of("opus")), (80, 24), opening(6)),
    "details_never": Situation(of(never), (80, 24), opening(0)),
    "details_gone": Situation(
        of(lambda: copy_of("hazel", stale="its owner (pid 4711) is gone")), (100, 30), opening(1)
    ),
    "details_light": Situation(of(lambda: copy_of("opus")), (100, 30), ("T", *opening(4))),
    "details_ascii": Situation(of(lambda: copy_of("opus")), (80, 24), opening(4), {"ascii": True}),
    "details_read_only": Situation(of(lambda: copy_of("opus")), (80, 24), opening(4), {"read_only": True}),
    "details_hostile": Situation(of(hostile), (100, 30), opening(0)),
    "details_help": Situation(of(lambda: copy_of("opus")), (100, 40), opening(4, "question_mark")),
}

if __name__ == "__main__":
    DETAILS[f"details_{sys.argv[1]}"].app().run()
