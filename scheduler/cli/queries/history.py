"""`experience-tui history`: what ran, when, and the outcome; reads the database while its owner writes."""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler import background
from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import as_document, citizens_and_rest, config_file, every_citizen, runs_argument
from scheduler.cli.printing import readable, table, width
from scheduler.cli.queries.run_csv import write_csv
from scheduler.cli.standard_error import print_problems
from scheduler.core.records import LISTED, RunQuery, RunRecord
from scheduler.core.state import first_line
from scheduler.core.views import Snapshot
from scheduler.core.wording.spans import date_and_time, took
from scheduler.core.wording.text import clean, failing
from scheduler.errors import UnknownTask, Unreadable
from scheduler.schema.json_codec import to_json
from scheduler.spending.money import price

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from scheduler.control.wire.client import RemoteControl

WIDEST = 200  # columns without a terminal
TITLES = ("id", "when", "citizen", "task", "trigger", "machine", "outcome", "took", "cost", "text")
RIGHT = ("id", "took", "cost")  # columns of numbers

Runs = Sequence[tuple[str, RunRecord]]


@click.command(
    "history",
    short_help="List the newest runs of citizens, or of one task.",
    epilog="Example: experience-tui history opus news_scan --failed",
)
@runs_argument
@every_citizen
@click.option("--failed", is_flag=True, help="Only runs that failed, timed out or were interrupted.")
@click.option("--limit", default=LISTED, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--before", type=click.IntRange(1), metavar="ID", help="Only runs with a smaller id.")
@click.option(
    "--output", "run", type=int, metavar="ID", help="Print the output of this run instead of a list."
)
@click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets: a line per run.")
@as_document
@config_file
def history_command(
    words: tuple[str, ...],
    every: bool,
    failed: bool,
    limit: int,
    before: int | None,
    run: int | None,
    as_csv: bool,
    as_json: bool,
    config: Path | None,
) -> int:
    """List the newest runs of citizens (default: all), or of one of their tasks.

    CITIZEN: one name or a comma-separated list; leave it out for all. Exit code 1 if the last run of
    the task (without TASK: of any task) failed.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    citizens, tasks = citizens_and_rest(words, every or not words)
    if len(tasks) > 1:
        raise click.UsageError("name at most one task; leave it out for the runs of all")
    if len(citizens) != 1 and (run or before):
        raise click.UsageError("each citizen has its own ids: use --before and --output with one citizen")
    snapshots = background.read_citizens(citizens, config)
    wrong = print_problems(snapshots)
    if run is not None:
        return _output(snapshots[0], run, as_json, config)
    asked = RunQuery(tasks[0] if tasks else None, limit, failed, before)
    found = _found(snapshots, asked, config)
    if as_csv:
        write_csv(found, sys.stdout)
    elif as_json:
        click.echo(json.dumps([_document(*each) for each in found], indent=2))
    else:
        _print(found, snapshots, asked)
    return wrong or (FAILED if any(_failing(one, asked.task) for one in snapshots) else OK)


def _output(one: Snapshot, run: int, as_json: bool, config: Path | None) -> int:
    text = _printed(one, run, config)
    if as_json:
        click.echo(json.dumps({"id": run, "output": text}))
    elif text:
        click.echo("".join(readable(text)), nl=not text.endswith("\n"))
    return 0


def _printed(one: Snapshot, run: int, config: Path | None) -> str:
    from scheduler.cli.queries.shared_history import shared_output
    from scheduler.control.offline import ask_owner
    from scheduler.storage import history_reader as history

    home = Path(one.home)
    answer = ask_owner(one.citizen, home, lambda control: control.output(run))
    answer = shared_output(config, one.citizen, home, run) if answer is None else answer
    return history.output(home, run) if answer is None else answer


def _found(snapshots: Sequence[Snapshot], asked: RunQuery, config: Path | None) -> Runs:
    """The matching runs, the newest start first."""
    found = [(one.citizen, run) for one in snapshots for run in _runs(snapshots, one, asked, config)]
    return sorted(found, key=lambda each: (each[1].started, each[1].id), reverse=True)[: asked.limit]


def _print(found: Runs, snapshots: Sequence[Snapshot], asked: RunQuery) -> None:
    without = {"citizen"} if len(snapshots) == 1 else set()
    without |= set() if asked.task is None else {"task"}
    without |= set() if any(run.cost for _, run in found) else {"cost"}
    click.echo("\n".join(run_table(found, width(WIDEST), without)) if found else "no such runs yet")


def _document(citizen: str, run: RunRecord) -> dict[str, Any]:
    """The JSON of a run; amounts are text, so that no digit is lost."""
    facts = {name: to_json(getattr(run, name)) for name in ("cost", "who", "stopped_by")}
    return {"citizen": citizen, **asdict(run), **facts}


def _runs(
    snapshots: Sequence[Snapshot], one: Snapshot, query: RunQuery, config: Path | None
) -> Iterable[RunRecord]:
    """The runs of one citizen; a task counts as known if any of these citizens has it."""
    from scheduler.cli.queries.shared_history import shared_runs
    from scheduler.control.offline import ask_owner
    from scheduler.storage import history_reader as history

    def ask(control: "RemoteControl") -> "Awaitable[tuple[RunRecord, ...]]":
        return control.history(query.task, limit=query.limit, failed=query.failed, before=query.before)

    home = Path(one.home)
    answer = ask_owner(one.citizen, home, ask)
    known = {row.name for each in snapshots for row in each.tasks}
    answer = shared_runs(config, one.citizen, home, query, known) if answer is None else answer
    try:
        return history.runs(home, query, known) if answer is None else answer
    except (UnknownTask, Unreadable):
        if one.problems:  # the problems are the reason, and are printed
            return ()
        raise


def _failing(snapshot: Snapshot, task: str | None) -> bool:
    rows = tuple(each for each in snapshot.tasks if task in (None, each.name))
    return failing(Snapshot(snapshot.citizen, rows))


def run_table(runs: Runs, width: int, without: Collection[str] = ()) -> list[str]:
    """A line per run below the titles, none wider than `width`; times are in the machine's zone."""
    one_machine = set() if any(run.machine for _, run in runs) else {"machine"}
    titles = [title for title in TITLES if title not in {*without, *one_machine}]
    rows = [_cells(*run) for run in runs]
    return table([titles, *([row[title] for title in titles] for row in rows)], width, RIGHT)


def _why(run: RunRecord) -> str:
    if run.attempt > 1:
        return f"attempt {run.attempt}"
    return f"{run.trigger or 'unknown'}{f' by {run.who}' if run.who else ''}"


def _cells(citizen: str, run: RunRecord) -> dict[str, str]:
    return {
        "id": str(run.id),
        "when": date_and_time(run.started),
        "citizen": clean(citizen),
        "task": clean(run.task),
        "trigger": clean(_why(run)),
        "machine": clean(run.machine),
        "outcome": str(run.outcome),
        "took": took(run.seconds),
        "cost": price(run.cost),
        "text": clean(first_line(run.text)),
    }
