"""The real screens beside the drawings: the lines that differ, and the reason of each."""

import os
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import FakeFleet
from tests.screens.beginnings import BROKEN, EIGHT, FOUND, at_two, empty, first
from tests.screens.driving import arrive, settled, shown
from tests.screens.mockups.dialogs import Drafts, left_behind
from tests.screens.mockups.fleet import RENAMED, fleet
from tests.screens.mockups.thirty import thirty
from tests.screens.mockups.wakes import fleet_with_wakes
from tests.screens.several_machines import one_fleet
from tui.app import ExperienceApp

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Drawing:
    """A drawn screen: its size, and the keys that lead to it."""

    size: tuple[int, int]
    keys: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=lambda: RENAMED)
    box: bool = False  # only a dialog is drawn, not what is behind it
    frozen: bool = True
    people: Callable[[Mapping[str, str], bool], FakeFleet] = fleet
    options: Mapping[str, Any] = field(default_factory=dict)


# The panels of the drawing do not stand in the order of names: names of the same length put that right.
IN_ORDER = {"opus": "amos", "mira": "bela", "aria": "cora", "luna": "dora", "nova": "emma", "sol": "uwe"}


def alone(
    make: Callable[[], FakeFleet], size: tuple[int, int], *keys: str, box: bool = False, **options: Any
) -> Drawing:
    """A drawing of its own citizens, under the names that it has."""
    return Drawing(size, keys, {}, box, people=lambda _names, _frozen: make(), options=options)


DRAWINGS = {
    "1.1": Drawing((120, 40), ("down",)),
    "1.2": Drawing((80, 24), ("down",)),
    "1.3": Drawing((200, 60), ("down",)),
    "1.4": Drawing((120, 40), (), {}, people=thirty),
    "2.1": Drawing((120, 40), ("v", "g", *["down"] * 6), {}),
    "2.2": Drawing((80, 24), ("v", "g", *["down"] * 6), {}),
    "3.1": Drawing((120, 40), ("colon", *"mira/wake", "enter", "enter"), {}, people=fleet_with_wakes),
    "3.2": Drawing((120, 40), ("colon", *"bela/render", "enter", "enter", "tab", "slash", *"cache", "enter")),
    "4.1": alone(first(), (80, 24), **EIGHT),
    "4.2": alone(first(), (120, 40), **EIGHT),
    "4.3": alone(empty, (80, 24), **EIGHT),
    "4.4": alone(at_two(BROKEN), (80, 24), **FOUND),
    "5.1": Drawing((80, 24), ("q",), box=True),
    "5.2": Drawing((80, 24), ("colon", *"bela/render", "enter", "x"), box=True),
    "5.3": Drawing(
        (80, 24), ("Z", *"08:00", "tab", *"invoices are under review"), {}, box=True, frozen=False
    ),
    "5.4": Drawing(
        (80, 24),
        ("a", *"report", "tab", *"0 9 * * mon-fri", "tab", *"python3 report.py"),
        box=True,
        options={"editor": Drafts},
    ),
    "5.5": alone(left_behind, (80, 24), "O", box=True),
    "5.6": Drawing((80, 24), ("colon", *"amos/wake", "enter", "w"), box=True, people=fleet_with_wakes),
    "6.1": Drawing((120, 40), ("question_mark",)),
    "6.2": Drawing((80, 24), ("colon", *"sto")),
    "7.1": Drawing((120, 40), (), IN_ORDER, people=lambda names, _frozen: one_fleet(names)),
}


async def real(name: str) -> list[str]:
    """The lines of the screen as it is."""
    drawing = DRAWINGS[name]
    app = ExperienceApp(drawing.people(drawing.names, drawing.frozen), **drawing.options)
    async with app.run_test(size=drawing.size) as pilot:
        await arrive(*drawing.keys)(pilot)
        await settled(pilot)
        lines = shown(pilot).split("\n")
    return boxed(lines, drawn(name)[0][:8]) if drawing.box else lines


def boxed(lines: list[str], title: str) -> list[str]:
    """The dialog alone: the cells between its corners; its frame begins with `title`."""
    top = next(number for number, line in enumerate(lines) if title in line)
    left = lines[top].index(title)
    right = lines[top].index("╮", left)
    bottom = next(n for n in range(top, len(lines)) if lines[n][left] == "╰" and lines[n][right] == "╯")
    return [line[left : right + 1] for line in lines[top : bottom + 1]]


def drawn(name: str) -> list[str]:
    text = (HERE / "drawn" / f"{name}.txt").read_text().removesuffix("\n")
    for old, new in DRAWINGS[name].names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return text.split("\n")


def reasons(name: str) -> dict[int, str]:
    """For each line (from 1) that differs from the drawing, why."""
    given = tomllib.loads((HERE / "reasons.toml").read_text()).get(name, {})
    return {line: reason for reason, lines in given.items() for line in lines}


def differing(name: str, now: list[str]) -> list[int]:
    """The lines that differ, from 1."""
    want = drawn(name)
    lines = max(len(want), len(now))
    padded = [[*each, *[""] * (lines - len(each))] for each in (want, now)]
    return [
        number
        for number, (old, new) in enumerate(zip(*padded, strict=True), 1)
        if old.rstrip() != new.rstrip()
    ]


def main() -> None:
    """Print each drawing and the screen as it is, where they differ."""
    import asyncio
    import sys

    os.environ["TZ"] = "UTC"
    time.tzset()
    for name in sys.argv[1:] or DRAWINGS:
        now = asyncio.run(real(name))
        want = [*drawn(name), *[""] * len(now)]
        why = reasons(name)
        for number in differing(name, now):
            line = now[number - 1] if number <= len(now) else ""
            print(f"{name}:{number:<3} {why.get(number, 'NO REASON')}\n  - {want[number - 1]}\n  + {line}")


if __name__ == "__main__":
    main()
