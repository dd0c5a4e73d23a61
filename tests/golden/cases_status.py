"""`status`, and core.py's --status: every sign, ages, errors, several citizens, old and damaged files."""

import json
from pathlib import Path

from tests.golden.case import CONFIG, OWN, STATE, Case

NOON = 1772452800.0
DATA = Path(__file__).parents[1] / "data"
MAIN = 'root = "{root}/homes"\n'


def _tasks(*names: str, more: str = "") -> str:
    return "".join(f'[tasks.{name}]\nevery = "1h"\ncommand = ["true"]\n' for name in names) + more


def _opus(own: str, state: str = "", *commands: str) -> Case:
    files = {"main.toml": MAIN, OWN: own} | ({STATE: state} if state else {})
    return Case(commands or (f"core.py --citizen opus --status {CONFIG}",), files)


def _old(name: str) -> Case:
    """A state file of an earlier version, or a damaged one."""
    commands = (f"core.py --citizen opus --status {CONFIG}", f"experience-tui status opus --json {CONFIG}")
    return _opus("", (DATA / f"{name}.json").read_text(), *commands)


def _error(text: str) -> dict[str, str]:
    return {"time": "2026-03-02T11:00:00+00:00", "error": text}


_SIGNS = """\
{
  "last_run": {"fine": 1772452790, "warned": 1772452000, "failed": 1772449200, "held": 1772452700,
    "busy": 1772452675, "left": 1772452000, "wrong": 1772452000},
  "run_counts": {"fine": 3, "warned": 4, "failed": 5, "held": 1, "busy": 9, "wrong": 1},
  "errors": {"failed": {"time": "2026-03-02T11:00:00+00:00", "error": "no ink"},
    "wrong": {"time": "2026-03-02T11:00:00+00:00", "error": "held, after a failure"}},
  "tasks": {
    "fine": {"outcome": "ok", "text": "3 pages"},
    "warned": {"outcome": "warning", "text": "little ink"},
    "failed": {"outcome": "failed", "failures_in_a_row": 2},
    "held": {"paused": true, "paused_at": 1772452750},
    "wrong": {"paused": true},
    "busy": {"running": {running}},
    "left": {"running": {"pid": 2147483646, "born": 1.0, "since": 1772452000}}
  }
}
"""
_NAMES = ("fine", "warned", "failed", "never", "held", "wrong", "busy", "left", "off")
_SIGNS_OWN = _tasks(
    *_NAMES,
    more="enabled = false\n[tasks.bare]\nevery = 60\n[tasks.boot]\ncron = '@reboot'\ncommand = ['x']\n",
)

_AGES = (0, 0.9, 1, 59, 59.9, 60, 119, 3599, 3600, 7199, 86399, 172799, 172800, 86400 * 800, -5)


def _ages() -> Case:
    names = [f"a{number:02}" for number in range(len(_AGES))]
    state = {"last_run": {name: NOON - age for name, age in zip(names, _AGES, strict=True)}}
    return _opus(_tasks(*names).replace('"1h"', '"3d"'), json.dumps(state))


_ERRORS = {
    "long": "x" * 61,
    "just": "y" * 60,
    "lines": "\n  \nthe second line\nthe third",
    "empty": "",
    "steers": "\x1b]0;owned\x07 red \u202egnp",
    "wide": "日本語のエラー ✓ müñ",
}


def _errors() -> Case:
    last = dict.fromkeys(_ERRORS, NOON - 3600)
    state = {"last_run": last, "errors": {name: _error(text) for name, text in _ERRORS.items()}}
    return _opus(_tasks(*_ERRORS), json.dumps(state))


_SEVERAL = {
    "main.toml": MAIN + "[citizens.aria]\n",
    OWN: _tasks("report"),
    STATE: json.dumps({"last_run": {"report": NOON - 60}, "errors": {"report": _error("no ink")}}),
    "homes/mira/experience.toml": _tasks("tea"),
    "homes/nova/experience.toml": "workers = 'many'\n",
}


def _several(*commands: str) -> Case:
    return Case(tuple(f"{each} {CONFIG}" for each in commands), _SEVERAL)


def _a_folder_in_its_place(root: Path) -> None:
    (root / STATE).mkdir(parents=True)


CASES = {
    "a-new-citizen": _opus(""),
    "signs": _opus(_SIGNS_OWN, _SIGNS),
    "signs-json": _opus(_SIGNS_OWN, _SIGNS, f"experience-tui status opus --json {CONFIG}"),
    "owned": Case(
        (f"core.py --citizen opus --status {CONFIG}", f"experience-tui status --json {CONFIG}"),
        {"main.toml": MAIN, OWN: _tasks("report"), "homes/opus/.experience/owner.json": "{running}"},
    ),
    "woken": Case(
        (f"core.py --citizen opus --status {CONFIG}", f"experience-tui status opus --json {CONFIG}"),
        {
            "main.toml": MAIN,
            OWN: "[wake]\nevery = '10m'\ncommand = ['true']\n",
            "homes/opus/metadata.json": '{"last_wake": "2026-03-02T11:55:00+00:00", "wake_count": 7}',
        },
    ),
    "a-wake-that-failed": Case(
        (
            f"core.py --citizen opus --status {CONFIG}",
            f"experience-tui status {CONFIG}",
            f"experience-tui history opus wake {CONFIG}",
        ),
        {
            "main.toml": MAIN,
            OWN: "[wake]\nevery = '10m'\ncommand = ['agent']\n",
            "homes/opus/metadata.json": '{"last_wake": "2026-03-02T11:55:00+00:00", "wake_count": 7}',
            STATE: json.dumps(
                {
                    "last_run": {"wake": 1772452500.0},
                    "run_counts": {"wake": 7},
                    "errors": {"wake": _error("exit 3: the third line")},
                }
            ),
        },
    ),
    "ages": _ages(),
    "errors": _errors(),
    "errors-of-what-is-not-set-up": _opus("", json.dumps({"errors": {"news_scan": _error("left by v2")}})),
    "several": _several("core.py --status", "experience-tui status", "experience-tui status opus mira"),
    "several-one-by-one": _several(
        *(f"experience-tui status {name}" for name in ("aria", "mira", "nova", "opus"))
    ),
    "several-with-commas": _several("experience-tui status opus,mira"),
    "unknown-citizen": _several(
        "core.py --citizen opsu --status",
        "experience-tui status unknown",
        "experience-tui status opus mria --json",
    ),
    "no-citizens": Case(
        (
            f"core.py --status {CONFIG}",
            f"experience-tui status --json {CONFIG}",
            f"core.py --citizen opus --status {CONFIG}",
        ),
        {"main.toml": MAIN},
    ),
    "no-settings-at-all": Case(("core.py --status", "experience-tui check")),
    "a-broken-main-file": Case(
        (f"core.py --status {CONFIG}", f"experience-tui status opus --json {CONFIG}"),
        {"main.toml": MAIN + "zzz = 1\n", OWN: _tasks("report")},
    ),
    "a-missing-main-file": Case((f"core.py --status {CONFIG}",)),
    "v2": _old("v2"),
    "oldest": _old("oldest"),
    "half-valid": _old("half_valid"),
    "bare-errors": _old("bare_errors"),
    "unknown-keys": _old("unknown_keys"),
    "state-is-no-json": _opus("", "these are no states"),
    "state-nests-without-end": _opus("", "[" * 100_000),
    "state-is-a-list": _opus("", "[1, 2]"),
    "state-is-empty": _opus("", "\n"),
    "state-is-a-folder": Case(
        (f"core.py --citizen opus --status {CONFIG}",),
        {"main.toml": MAIN, OWN: ""},
        prepare=_a_folder_in_its_place,
    ),
    "state-with-every-mistake": _opus(
        _tasks("a", "b"),
        json.dumps(
            {
                "last_run": {"a": True, "b": 1e400},
                "run_counts": [],
                "errors": {"a": 7, "b": {"time": "noon", "error": "x"}},
                "tasks": {"a": {"paused": 1, "attempt": -1, "running": {"pid": 0}, "text": None}, "b": []},
            }
        ),
    ),
}
