"""Kills `experience-tui migrate` before each of its steps: `python -m tests.crash.moves --apply`.

The environment names the place: root, settings, a crontab program. It leaves all as it was.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from scheduler.cli.setup.migrate import migrate_command
from scheduler.migration.journal import newest

STEPS = (
    (os, ("fsync", "mkdir", "replace", "unlink", "fchmod", "fchown")),
    (subprocess, ("run",)),
)
MOST = 200
HOME = Path(os.environ["EXPERIENCE_ROOT"]) / "opus"
FILES = (Path(os.environ["CRONTAB_FILE"]), HOME / "experience.toml")


def migrate(verb: str) -> None:
    done = CliRunner().invoke(migrate_command, [verb], standalone_mode=False)
    if done.exception:
        raise done.exception


def dies(verb: str, number: int) -> bool:
    """Whether a child dies just before its step of this number; if it had fewer it came to its end."""
    child = os.fork()
    if child == 0:
        _count_down(number)
        migrate(verb)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 9):
        raise SystemExit(f"step {number} ended with {code}")
    return code == 9


def _count_down(number: int) -> None:
    left = [number]

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return call(*args, **more)

        return step

    for where, names in STEPS:
        for name in names:
            setattr(where, name, dying(getattr(where, name)))


def contents() -> list[bytes | None]:
    return [file.read_bytes() if file.exists() else None for file in FILES]


def unfinished() -> bool:
    return newest(HOME) is not None


def main(verb: str) -> None:
    before, seen, deaths = contents(), set(), 0
    for number in range(1, MOST):
        if verb == "--undo":
            migrate("--apply")
        died = dies(verb, number)
        seen.add(tuple(now != then for now, then in zip(contents(), before, strict=True)))
        if unfinished():
            migrate("--undo")
        if contents() != before or unfinished():
            raise SystemExit(f"killed before step {number} of {verb}, undo did not bring back {before}")
        deaths += died
        if not died:
            print(f"died {deaths} times; changed: {sorted(seen)}")
            return
    raise SystemExit("it never came to its end")


if __name__ == "__main__":
    main(sys.argv[1])
