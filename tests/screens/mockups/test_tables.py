"""The tables of section 8 of the drawings: each example is what the functions of the screens give."""

import re
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from scheduler.core.costs import RunCost
from scheduler.core.schedules.schedule import parse, short_duration
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Progress, Task
from scheduler.core.views import TaskStatus, TaskView
from scheduler.core.wording.text import ordinal, size
from scheduler.engine.job import Job
from scheduler.spending import money
from tui.common import amounts
from tui.common import text as words
from tui.fleet.panels.contents import progress_words
from tui.glyphs import ASCII, UNICODE

DRAWN = Path(__file__).parent / "drawn"
MINUTE, HOUR, DAY = 60, 3600, 86400
SUNDAY = datetime(2025, 11, 30, 14, 3, 22).timestamp()  # noqa: DTZ001  # screens are in the machine's zone
RETRIED = Task("report", parse("5m"), Call(None), retries=2)
TOKENS = {number: RunCost(tokens_in=number, tokens_out=0) for number in (850, 12_300, 1_240_000)}


def at(days: float, clock: str) -> float:
    """That time of day, so many days before the moment of the drawings."""
    there = time.localtime(SUNDAY - days * DAY)
    hour, minute, second = map(int, clock.split(":"))
    return time.mktime((*there[:3], hour, minute, second, 0, 0, -1))


def row(**more: object) -> TaskView:
    return TaskView("report", TaskStatus.RUNNING, "5m", **more)


FORMATS = {
    "time to go, time gone (ticks)": [
        words.countdown(47),
        words.countdown(3 * MINUTE + 12.9),
        words.countdown(HOUR - 0.1),
        words.elapsed(HOUR + 28 * MINUTE + 59),
        words.elapsed(DAY - 1),
        words.elapsed(2 * DAY + 3 * HOUR),
        words.elapsed(100 * DAY - 1),
        words.countdown(0.9),
        words.countdown(0),
        UNICODE.nothing,
    ],
    "how long a run took (stands)": [
        words.took(0.0099),
        words.took(0.17),
        words.took(1.49),
        words.took(47.9),
        words.took(3 * MINUTE + 12),
        words.took(HOUR + 28 * MINUTE),
        words.took(2 * DAY + 3 * HOUR),
    ],
    "how long ago, in a sentence": [
        f"{words.ago(38.9)} ago",
        f"{words.ago(10 * MINUTE + 59)} ago",
        f"{words.ago(5 * HOUR + 1)} ago",
        f"{words.ago(3 * DAY + 1)} ago",
    ],
    "set spans (schedule, timeout)": [
        str(parse("30s")),
        short_duration(300),
        str(parse("4h")),
        str(parse("1d12h")),
        str(parse("90m")),
    ],
    "time of day": [
        words.wall(SUNDAY),
        words.moment(at(0, "15:00:00"), SUNDAY),
        f"until {words.moment(at(0, '15:00:00'), SUNDAY)}",
        f"since {words.moment(at(0, '13:58:00'), SUNDAY)}",
        words.day_and_time(at(0, "13:20:00"), SUNDAY),
        words.day_and_time(at(0, "19:20:00") - 7 * DAY, SUNDAY - 4 * DAY),
        words.day_and_time(at(6, "09:00:00"), SUNDAY),
    ],
    "money": [
        amounts.spent("0.37"),
        amounts.of_limit("5.02", "5"),
        amounts.spent("12.4"),
        amounts.spent("1240"),
        amounts.spent("0.004"),
        amounts.spent("what?"),
    ],
    "money in five cells": [amounts.brief(each) for each in ("0.37", "9.99", "12.4", "124", "1240")],
    "forecast": [money.about(Decimal(78)), money.about(Decimal("4.2"))],
    "tokens": [*map(money.tokens, TOKENS.values()), f"{money.count_tokens(11_900)} in, 410 out"],
    "counts": [words.count(each) for each in (42, 2140, 9999, 61_200, 1_240_000)],
    "shares": [
        progress_words(row(progress=Progress(done, total, "")), UNICODE)
        for done, total in ((62.9, 100), (999, 1000), (5, 5))
    ],
    "attempts": [
        Job(Task("report", parse("5m"), Call(None), retries=2), TaskState(attempt=1), 0.0).attempt()
    ],
    "failures in a row": [f"{UNICODE.times}2", "2 in a row", f"{ordinal(2)} failure in a row"],
    "sizes": [size(each) for each in (812, 11_200, 184e6, 1.2e9)],
    "late": [f"{words.took(2.1)} late"],
    "nothing, unknown": [UNICODE.nothing, amounts.spent("what?").removeprefix("$")],
}
OTHERWISE = {  # an example that no function gives, and why
    "90m": "a schedule is a number of seconds once it is read: its shortest exact spelling is 1h30m",
    "attempt 2 of 3 in 00:22": "the time ticks in the row; the line below it says which attempt is next",
    "←": "a key: the footer and the help write its name",
}


def table(name: str) -> Iterator[list[str]]:
    for line in (DRAWN / f"{name}.txt").read_text().splitlines()[2:]:
        yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`(.+?)`", cell)


def test_each_example_of_a_format_is_what_the_screen_writes() -> None:
    drawn = {what: quoted(examples) for what, _, examples, _ in table("8.1")}
    assert drawn.keys() == FORMATS.keys()
    for what, examples in drawn.items():
        assert [each for each in examples if each not in {*FORMATS[what], *OTHERWISE}] == [], what
        assert [each for each in FORMATS[what] if each in OTHERWISE] == [], what


def test_what_ticks_or_stands_in_a_column_has_six_cells_at_most() -> None:
    for what in ("time to go, time gone (ticks)", "how long a run took (stands)", "counts"):
        assert [each for each in FORMATS[what] if words.cells(each) > 6] == []
    assert [each for each in FORMATS["money in five cells"] if words.cells(each) > 5] == []


def test_each_sign_is_the_drawn_one_in_both_sets() -> None:
    signs = pairs()
    for drawn, code, says, *_, plain in table("8.2"):
        (sign,) = quoted(drawn)
        assert f"{ord(sign):04X}" == code
        if sign not in OTHERWISE:
            assert signs[sign] in re.split(r"`| |,|;", plain), (sign, says)
    assert {*UNICODE.kind.values()} <= {quoted(drawn)[0] for drawn, *_ in table("8.2")}


def test_each_sign_of_a_state_says_what_was_drawn() -> None:
    said = {quoted(drawn)[0]: says for drawn, _, says, *_ in table("8.2")}
    named = {kind: kind.value for kind in TaskStatus} | {TaskStatus.NOT_SET_UP: "needs settings"}
    for kind, sign in UNICODE.kind.items():
        assert said[sign].startswith(named[kind])


def pairs() -> dict[str, str]:
    """Each sign with what a plain terminal shows for it."""
    one, other = UNICODE, ASCII
    found = {one.kind[kind]: other.kind[kind] for kind in TaskStatus}
    found |= {one.recent[kind]: other.recent[kind] for kind in "oswx"}
    for name in ("cursor", "marked", "hit", "full", "half", "track", "down", "ellipsis", "times", "nothing"):
        found[getattr(one, name)] = getattr(other, name)
    for name in ("corners", "joints", "sorted"):
        found |= dict(zip(getattr(one, name), getattr(other, name), strict=True))
    return found | {words.clean("\n"): words.clean("\n", plain=True)}
