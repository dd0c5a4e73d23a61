"""The wakes of mira as they are drawn: refused, skipped, woken by news, anyway and by hand."""

from collections.abc import Iterator, Mapping
from itertools import count

from scheduler.core.costs import RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.wording.description import DefinitionField, TaskDetails
from tests.fakes import FakeControl, FakeFleet
from tests.screens.mockups.fleet import CT, OUTCOMES, RENAMED, at, fleet, span

TRIGGERS = {"URGENT": Trigger.URGENT, "ct": Trigger.FORCE, "attempt": Trigger.RETRY}
NEWS, ANYWAY = "news: mail-7.json in the queue", "the last wake was 6h ago"
# Days before, began, outcome, by, took, cost; or the times that were let go, every ten minutes, and why.
DRAWN = """\
0 14:00:00 r news 11s 0.00
0 13:30 13:50 nothing new
0 13:20:00 o news 03:02 0.22
0 07:30 13:10 nothing new
0 07:20:00 o 6h 01:12 0.09
0 01:30 07:10 nothing new
0 01:20:00 o 6h 58s 0.06
0 00:00 01:10 nothing new
1 19:30 23:50 nothing new
1 19:20:00 o 6h 01:15 0.09
1 13:30 19:10 nothing new
1 13:20:00 o URGENT 04:58 0.62
1 13:08:10 o ct 02:10 0.28
1 13:01:02 x attempt 01:00 0.11
1 13:00:00 x news 28s 0.06
1 12:50 12:50 nothing new
1 12:40:00 s news 02:02 0.22
1 12:20:00 o news 03:40 0.41
1 12:00:00 o news 02:51 0.33
1 11:20 11:50 nothing new
1 11:10:00 o news 03:21 0.38
1 00:00 11:00 frozen by ct: moving house
2 22:00 23:50 frozen by ct: moving house
2 21:50:00 o news 02:44 0.30"""


def runs() -> Iterator[RunRecord]:
    """The newest first."""
    numbers = count(900, -1)
    for line in DRAWN.split("\n"):
        day, began, *rest = line.split(" ")
        if began.count(":") == 1:
            yield from _let_go(numbers, int(day), began, rest[0], " ".join(rest[1:]))
            continue
        how, by, took, cost = rest
        start, seconds = at(began, int(day)), span(took)
        yield RunRecord(
            next(numbers), WAKE, start, start + seconds, seconds, OUTCOMES[how],
            TRIGGERS.get(by, Trigger.SCHEDULE),
            2 if by == "attempt" else 1, printed=True, cost=RunCost(cost), who=CT if by == "ct" else None,
            why={"news": NEWS, "6h": ANYWAY}.get(by, ""),
        )  # fmt: skip


def _let_go(numbers: Iterator[int], day: int, first: str, last: str, why: str) -> Iterator[RunRecord]:
    moment, end = at(f"{last}:00", day), at(f"{first}:00", day)
    while moment >= end:
        times = (moment, moment, 0.0)
        yield RunRecord(next(numbers), WAKE, *times, Outcome.SKIPPED, Trigger.SCHEDULE, text=why)
        moment -= 600


def _fields(*rows: str) -> tuple[DefinitionField, ...]:
    return tuple(DefinitionField(*row.split(": ", 1)) for row in rows)


DETAILS = TaskDetails(
    WAKE,
    _fields(
        "schedule: every 10 minutes", 'runs: claude -p "Read your queue and act."',
        "set in: mira/experience.toml:3", "timeout: 1h", "retries: 2, the first after 30s, then doubling",
        "pauses: after 10 failures in a row",
    ),
    _fields(
        "gate: news: queue, task results, notes/; wakes anyway after 6h",
        "report: its cost, from what claude prints", "provider: anthropic",
    ),
    tuple(at("15:00:00") + 600 * number for number in range(5)),
)  # fmt: skip
PRINTED = """\
reading the queue: 1 item
starting a turn

API error 429: usage limit reached,
your limit resets at 3pm (Europe/Berlin)

exit 1 after 11s
"""


# By the last wakes of opus.
SPENT = ["0.61", "0.45", "0.52", "0.38", "0.55", "0.47", "0.50", "0.41", "0.56", "0.45"]


def spent() -> Iterator[RunRecord]:
    for number, cost in enumerate(SPENT):
        times = (at("13:35:39") - 600 * number, at("13:39:51") - 600 * number, 252.0)
        yield RunRecord(99 - number, WAKE, *times, Outcome.OK, Trigger.SCHEDULE, cost=RunCost(cost))


def fleet_with_wakes(names: Mapping[str, str] = RENAMED, frozen: bool = True) -> FakeFleet:
    """The fleet of the drawings, with the history of mira's wakes, and what those of opus cost."""
    people = fleet(names, frozen)
    (opus,) = (each for each in people.view.controls if each.citizen == names.get("opus", "opus"))
    assert isinstance(opus, FakeControl)
    opus.runs, opus.details[WAKE] = (*opus.runs, *spent()), DETAILS
    (mira,) = (each for each in people.view.controls if each.citizen == names.get("mira", "mira"))
    assert isinstance(mira, FakeControl)
    mira.runs = (*(run for run in mira.runs if run.task != WAKE), *runs())
    mira.details[WAKE], mira.outputs[900] = DETAILS, PRINTED
    return people
