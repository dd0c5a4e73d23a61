#!/usr/bin/env -S python3 -S
"""The original command line, `./core.py --citizen opus --status`, in the environment that run.sh made."""

# -S: this first Python only starts the one in .venv, and loading its own packages would cost 10 to 40 ms.
import os
import site
import sys
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve()
VENV = HERE.parent / ".venv"
PYTHON = VENV / "bin" / "python"


def starters_environment() -> dict[str, str]:
    """The environment without the LC_CTYPE that this first Python sets where the locale is C."""
    environment = dict(os.environ)
    with suppress(OSError):
        if b"\0LC_CTYPE=" not in b"\0" + Path("/proc/self/environ").read_bytes():
            environment.pop("LC_CTYPE", None)
    return environment


def main() -> int:
    if PYTHON.exists() and Path(sys.prefix).resolve() != VENV.resolve():
        os.execve(PYTHON, [str(PYTHON), str(HERE), *sys.argv[1:]], starters_environment())
    if sys.flags.no_site:
        site.main()
    try:
        from scheduler.process.garbage_collection import hold_collections

        hold_collections()
        from scheduler.cli.main import main as command_line
    except ImportError as error:  # also what a Python before 3.11 says
        print(f"experience: {error}; run ./run.sh once, it sets everything up", file=sys.stderr)
        return 2
    return command_line()


if __name__ == "__main__":
    raise SystemExit(main())
