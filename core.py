#!/usr/bin/env python3
"""The original command line, `./core.py --citizen opus --status`, in the environment that run.sh made."""

import os
import sys
from pathlib import Path

VENV = Path(__file__).resolve().parent / ".venv"
PYTHON = VENV / "bin" / "python"


def main() -> int:
    if PYTHON.exists() and Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), str(Path(__file__).resolve()), *sys.argv[1:]])
    try:
        from scheduler.cli import main as command_line
    except ImportError as error:  # also what a Python before 3.11 says
        print(f"experience: {error}; run ./run.sh once, it sets everything up", file=sys.stderr)
        return 2
    return command_line()


if __name__ == "__main__":
    raise SystemExit(main())
