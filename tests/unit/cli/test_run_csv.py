"""Runs as CSV: exact, on one line each, and no formula of a stranger's."""

import csv
import io

from scheduler.cli.queries.run_csv import COLUMNS, write_csv
from scheduler.core.costs import RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from tests.fakes import NOON


def test_amounts_are_exact_and_a_text_cannot_control_a_terminal_or_a_spreadsheet():
    cost = RunCost("0.1234567890123456789", tokens_in=1, tokens_out=2)
    texts = ('=HYPERLINK("http://x")', "two\nlines, \x1b[31mred", "-1", "fine")
    runs = [
        RunRecord(number, "wake", NOON, NOON + 1.5, 1.5, Outcome.OK, Trigger.FORCE, 1, text, cost=cost)
        for number, text in enumerate(texts)
    ]
    written = io.StringIO()
    write_csv([("opus", run) for run in runs], written)
    titles, *rows = csv.reader(written.getvalue().splitlines())
    assert tuple(titles) == COLUMNS
    first = dict(zip(titles, rows[0], strict=True))
    assert first["started"] == "2026-03-02T12:00:00.000+00:00"
    assert (first["cost_usd"], first["tokens_in"], first["seconds"]) == (cost.cost_usd, "1", "1.5")
    assert [row[-1] for row in rows] == [
        '\'=HYPERLINK("http://x")',
        r"two\x0alines, \x1b[31mred",
        "'-1",
        "fine",
    ]
