"""Thirty citizens: the twelve that are drawn are read from the drawing, and eighteen are made up below."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.core.costs import Money
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.state import Failure
from scheduler.core.views import Hold, HoldKind, Snapshot, TaskStatus, TaskView, WakeView
from tests.fakes import FakeClock, FakeControl, FakeFleet
from tests.screens.mockups.fleet import KINDS, NOW, PERIODS, SETTLED, at, span, unset

DRAWN = Path(__file__).parent / "drawn" / "1.4.txt"
COLUMNS = (slice(1, 39), slice(41, 79), slice(81, 118))
OTHERS = [
    "iris",
    "jade",
    "kite",
    "luna",
    "mona",
    "nora",
    "olga",
    "pax",
    "quinn",
    "rhea",
    "sol",
    "terra",
    "uma",
    "vera",
    "wren",
    "xena",
    "yuri",
    "zoe",
]
AWAY = Hold(HoldKind.PROVIDER, "waits for anthropic until 15:00 (usage limit)", at("15:00:00"), "anthropic")
SPENT = Hold(HoldKind.BUDGET, "over budget until 00:00 ($5.02 of $5.00)", at("00:00:00", -1), "day")
ERRORS = {
    "offsite_backup": Failure(NOW - 3600, "restic: repository is already locked by another process"),
    "email_check": Failure(NOW - 660, "IMAP login refused: [AUTHENTICATIONFAILED] invalid credentials"),
}
Row = dict[str, Any]


def panels() -> Iterator[tuple[str, list[str]]]:
    """The title of each panel, and the rows below it, from left to right and from top to bottom."""
    lines = DRAWN.read_text().split("\n")[2:38]
    titles = [number for number, line in enumerate(lines) if line[0] in "╭├"]
    for first, last in zip(titles, [*titles[1:], len(lines)], strict=True):
        for column in COLUMNS:
            yield lines[first][column], [line[column] for line in lines[first + 1 : last]]


def citizen(title: str, rows: list[str]) -> Snapshot:
    name, number = re.findall(r"─ (\w+) ", title)[0], int(re.findall(r"#(\d+)", title)[0])
    tasks = tuple(each for row in rows for each in _tasks(row.replace("❯", " "), number - 1))
    frozen = any("frozen" in row for row in rows)
    spent = next((each.cost_today for each in tasks if each.is_wake), "")
    return Snapshot(
        name,
        tasks,
        WakeView(number - 1),
        freeze=Freeze(NOW - 240, at("08:00:00", -1), "ct", "") if frozen else None,
        money=Money(spent) if spent else None,
    )


def _tasks(row: str, wakes: int) -> Iterator[TaskView]:
    sign, *words = row.split() or [""]
    if sign == "◌":
        yield from (unset(name, "x") for name in ("zeta_one", "zeta_two")[: int(words[0])])
    elif (sign in KINDS or sign == "‖") and words[0] != "frozen":
        yield _task(sign, words[0], words[1:], wakes)


def _task(sign: str, name: str, words: list[str], wakes: int) -> TaskView:
    last = words[-1]
    every = last if last in PERIODS else "10m" if name == "wake" else "24h"
    row: Row = {"kind": KINDS.get(sign, TaskStatus.PAUSED), "recent": SETTLED, "run_count": 9}
    row |= {"builtin": name not in ("wake", "inbox_sort", "digest"), "last_run": NOW - 60, "timeout": 3600.0}
    if last.startswith("$"):
        row |= {"cost_today": "12.40" if last == "$12.4" else last[1:]}
    if name == "wake":
        row |= {"number": wakes}
    if sign in "◷$":
        row |= {"held": AWAY if sign == "◷" else SPENT}
    elif sign == "‖":
        row |= {"paused_at": NOW, "paused_until": at("18:00:00") if words[0] == "until" else None}
    elif sign == "►":
        row |= {"running_since": NOW - span(words[0]), "timeout": 600.0 if last == "10m" else 3600.0}
    else:
        due = NOW + (300 if words[0] == "–" else span(words[0]))
        row |= {"due": due, "since": due - PERIODS[every]}
    if sign == "✗":
        row |= {"error": ERRORS[name], "failures_in_a_row": 5 if name == "email_check" else 1}
    return TaskView(name, schedule=every, **row)


def others() -> Iterator[Snapshot]:
    """Of those further down nine wait, three fail, and the first has spent what the drawn ones have not."""
    for number, name in enumerate(OTHERS):
        kind = {"held": AWAY, "kind": TaskStatus.WAITS} if number < 9 else {"kind": TaskStatus.OK}
        spent = "17.40" if number == 0 else ""
        wake = TaskView("wake", schedule="10m", due=NOW + 300, number=9, cost_today=spent, **kind)  # type: ignore[arg-type]
        bad = TaskView("digest", TaskStatus.FAILED, "1h", error=Failure(NOW - 3000, "no route"))
        tasks = (wake, bad) if number in (10, 11, 12) else (wake,)
        yield Snapshot(name, tasks, WakeView(9), money=Money(spent) if spent else None)


def thirty(names: Mapping[str, str], frozen: bool) -> FakeFleet:
    """All of them; none has another name, and who is frozen stays so."""
    assert frozen and not names
    drawn = [replace(citizen(*each), home="/srv") for each in panels()]
    return FakeFleet(*(FakeControl(each) for each in (*drawn, *others())), clock=FakeClock(NOW))
