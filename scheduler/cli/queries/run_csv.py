"""Runs as CSV, for spreadsheets: times in UTC, amounts exact, text on one line."""

import csv
from collections.abc import Iterable
from typing import TextIO

from scheduler.core.records import RunRecord
from scheduler.core.schedules.schedule import iso
from scheduler.core.wording.text import clean

COLUMNS = (
    *("id", "citizen", "task", "started", "finished", "seconds", "outcome", "trigger", "attempt"),
    *("cost_usd", "tokens_in", "tokens_out", "who", "machine", "text"),
)
FORMULA = ("=", "+", "-", "@", "\t")  # a run can print such a text, and a spreadsheet would compute it


def write_csv(runs: Iterable[tuple[str, RunRecord]], to: TextIO) -> None:
    """Write a line of titles, then a line for each run."""
    lines = csv.writer(to, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(_row(*each) for each in runs)


def _row(citizen: str, run: RunRecord) -> list[object]:
    cost = run.cost
    spent = (cost.cost_usd, cost.tokens_in, cost.tokens_out) if cost else (None, None, None)
    facts = (run.seconds, run.outcome, run.trigger or "", run.attempt)
    times = (iso(run.started, "milliseconds"), iso(run.finished, "milliseconds"))
    return [
        run.id,
        citizen,
        _plain(run.task),
        *times,
        *facts,
        *spent,
        _plain(str(run.who or "")),
        _plain(run.machine),
        _plain(run.text),
    ]


def _plain(text: str) -> str:
    line = clean(text)
    return f"'{line}" if line.startswith(FORMULA) else line
