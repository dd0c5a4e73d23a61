"""Runs in the one-file program after shiv unpacked it: goes on in an environment of its own.

The program starts others of its own kind (loops, isolated handlers, readers of feeds) with `sys.executable`.
That must be a Python which finds the unpacked packages by itself: a variable such as PYTHONPATH would reach
the tasks, too.
"""

import os
import sys
import sysconfig
from pathlib import Path

START = "from experience_tui import main; main()"


def environment(packages: Path) -> Path:
    """The Python of the environment beside these packages; makes it at the first start."""
    made = packages.parent / "venv"
    python = made / "bin" / "python"
    if not python.exists():
        begun = packages.parent / f"venv.{os.getpid()}"
        library = begun / "lib" / f"python{sysconfig.get_python_version()}"
        library.mkdir(parents=True)
        (library / "site-packages").symlink_to(packages)
        base = Path(os.path.realpath(sys.executable))
        (begun / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
        (begun / "bin").mkdir()
        (begun / "bin" / "python").symlink_to(base)
        try:
            begun.rename(made)
        except OSError:  # another start was faster
            if not python.exists():
                raise
    return python


def start(packages: Path) -> None:
    """Become the program; never returns."""
    python = str(environment(packages))
    os.execv(python, [python, "-P", "-c", START, *sys.argv[1:]])


if __name__ == "__main__":
    start(Path(site_packages))  # type: ignore[name-defined] # noqa: F821 shiv defines it
