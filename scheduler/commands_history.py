"""`experience-tui history`: what ran, when and how it went; reads the database beside its owner."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from .commands import FAILED, _config, _json
from .model import Snapshot
from .records import LISTED, Asked, RunRecord
from .status import clean, failing

WIDEST = 200  # columns where no terminal says how many it has
TITLES = ("id", "when", "task", "trigger", "outcome", "took", "text")
RIGHT = (0, 5)  # columns of numbers


@click.command("history", epilog="Example: experience-tui history opus news_scan --failed")
@click.argument("citizen")
@click.argument("task", required=False)
@click.option("--failed", is_flag=True, help="Only runs that failed, timed out or were interrupted.")
@click.option("--limit", default=LISTED, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--before", type=click.IntRange(1), metavar="ID", help="Only runs with a smaller id.")
@click.option("--output", "run", type=int, metavar="ID", help="What this run printed, instead of a list.")
@_json
@_config
def history_command(
    citizen: str,
    task: str | None,
    failed: bool,
    limit: int,
    before: int | None,
    run: int | None,
    as_json: bool,
    config: Path | None,
) -> int:
    """The newest runs of a citizen, or of one of its tasks. Reads files only.

    Exit code 1 if the last run of the task (of any, without one) failed.
    """
    from .background import look

    snapshot = look(citizen, config)
    if run is not None:
        return _output(Path(snapshot.home), run, as_json)
    return _list(snapshot, Asked(task, limit, failed, before), as_json)


def _output(home: Path, run: int, as_json: bool) -> int:
    from . import history

    text = history.output(home, run)
    if as_json:
        click.echo(json.dumps({"id": run, "output": text}))
    elif text:  # line by line: a terminal must not be steered by what some program printed
        for line in text.removesuffix("\n").replace("\t", "    ").split("\n"):
            click.echo(clean(line))
    return 0


def _list(snapshot: Snapshot, asked: Asked, as_json: bool) -> int:
    from . import history

    runs = history.runs(Path(snapshot.home), asked, [each.name for each in snapshot.tasks])
    if as_json:
        click.echo(json.dumps([asdict(run) for run in runs], indent=2))
    else:
        click.echo("\n".join(table(runs, asked.task is None, _width())) if runs else "no such runs yet")
    return FAILED if _failing(snapshot, asked.task) else 0


def _failing(snapshot: Snapshot, task: str | None) -> bool:
    rows = tuple(each for each in snapshot.tasks if task in (None, each.name))
    return failing(Snapshot(snapshot.citizen, rows))


def table(runs: Sequence[RunRecord], with_task: bool, width: int) -> list[str]:
    """A line per run below the titles, none wider than `width`; times are the machine's."""
    rows = [TITLES, *map(_cells, runs)]
    if not with_task:
        rows = [(*row[:2], *row[3:]) for row in rows]
    right = {TITLES[column] for column in RIGHT}
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [">" if title in right else "<" for title in rows[0]]
    return [_line(row, widths, aligned)[:width].rstrip() for row in rows]


def _line(row: Iterable[str], widths: Iterable[int], aligned: Iterable[str]) -> str:
    cells = zip(row, aligned, widths, strict=True)
    return "  ".join(f"{text:{side}{wide}}" for text, side, wide in cells)


def _cells(run: RunRecord) -> tuple[str, ...]:
    when = datetime.fromtimestamp(run.started, UTC).astimezone()
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    text = next((line.strip() for line in run.text.splitlines() if line.strip()), "")
    how = f"{run.trigger or 'unknown'}{again}"
    took = _took(run.seconds)
    return (
        str(run.id),
        f"{when:%Y-%m-%d %H:%M:%S}",
        clean(run.task),
        how,
        str(run.outcome),
        took,
        clean(text),
    )


def _took(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def _width() -> int:
    if not sys.stdout.isatty():
        return WIDEST
    from shutil import get_terminal_size

    return get_terminal_size().columns
