"""`history`: lists, filters, what a run printed, and what cannot be answered."""

from pathlib import Path

from tests.golden import seam
from tests.golden.case import CONFIG, OWN, STATE, Case

_FILES = {
    "main.toml": 'root = "{root}/homes"\n',
    OWN: '[tasks.report]\nevery = "1h"\ncommand = ["true"]\n',
    "homes/mira/experience.toml": "",
}
_FAILED = (
    '{"last_run": {"report": 1.0}, "errors": {"report": {"time": "2026-03-02T12:00:00Z", "error": "no ink"}}}'
)


def _both(root: Path) -> None:
    seam.record_runs(root / "homes/opus")
    seam.record_runs(root / "homes/mira")


def _asked(*words: str, **files: str) -> Case:
    commands = tuple(f"experience-tui history {each} {CONFIG}" for each in words)
    return Case(commands, {**_FILES, **files}, prepare=_both)


def _damaged(root: Path) -> None:
    (root / "homes/opus/runs.db").write_text("these are no runs")


CASES = {
    "one-citizen": _asked("opus"),
    "json": _asked("opus --json", "opus report --failed --json", "opus --limit 1 --json"),
    "of-a-task": _asked("opus report", "opus heartbeat"),
    "failed": _asked("opus --failed", "opus report --failed --limit 1"),
    "limit-and-before": _asked("opus --limit 2", "opus --before 3", "opus --before 1"),
    "several-citizens": _asked("opus,mira --limit 6", "--all --limit 3", "--all report --limit 2"),
    "output": _asked("opus --output 1", "opus --output 1 --json", "opus --output 2", "opus --output 4"),
    "exit-code-of-a-failure": _asked("opus --limit 1", "opus heartbeat --limit 1", **{STATE: _FAILED}),
    "refused": _asked(
        "",
        "opsu",
        "opus reprot",
        "opus report heartbeat",
        "opus --output 99",
        "opus --limit 0",
        "opus --limit many",
        "opus --before 0",
        "--all --before 3",
        "opus,mira --output 1",
    ),
    "empty": Case(
        (f"experience-tui history opus {CONFIG}", f"experience-tui history --all --json {CONFIG}"), _FILES
    ),
    "damaged": Case((f"experience-tui history opus {CONFIG}",), _FILES, prepare=_damaged),
    "broken-settings": _asked("opus --limit 2", **{OWN: "workers = 0\n"}),
}
