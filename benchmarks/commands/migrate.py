"""How long `experience-tui migrate` looks at a large crontab, beside reading its lines and splitting them."""

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child import HERE
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row

LINES = 10_000
FLOOR = "import sys; rows = [line.split(None, 5) for line in open(sys.argv[1])]; print(len(rows))"


def migrate(quick: bool) -> Iterator[Row]:
    """The whole command on a crontab of 10,000 jobs: with the times that people use, and all different."""
    for what, different in (("1,440 different times", False), ("all times different", True)):
        ours: list[Sample] = []
        floor: list[Sample] = []
        with TemporaryDirectory() as folder:
            file = Path(folder, "crontab")
            file.write_text("".join(_jobs(different)))
            for _ in range(2 if quick else 5):
                floor.append(_took(folder, "-c", FLOOR, str(file)))
                ours.append(_took(folder, "-m", "tui", "migrate", str(file)))
        mine = middle(ours, "cpu")
        yield Row(
            f"migrate, {LINES:,} lines, {what}: CPU time",
            mine,
            "ms",
            (Beside("read and split", middle(floor, "cpu"), ratio(ours, floor, "cpu")),),
            (Bar("<= 1 s", mine <= 1000),),
            f"{middle(ours, 'wall'):,.0f} ms by the clock, start of Python and a table of all lines included",
        )


def _jobs(different: bool) -> Iterator[str]:
    dice = random.Random(1)
    for number in range(LINES):
        minute, hour = number % 60, number // 60 % 24
        day = number // 1440 % 28 + 1 if different else "*"
        script = (
            f"cd /srv/app{number % 50} && ./bin/job{number}.sh --mode {dice.randrange(9)} > /dev/null 2>&1"
        )
        yield f"{minute} {hour} {day} * * {script}\n"


def _took(folder: str, *argv: str) -> Sample:
    around = {**os.environ, "EXPERIENCE_ROOT": folder, "EXPERIENCE_CONFIG": f"{folder}/none.toml"}
    Path(folder, "none.toml").touch()
    before, start = _cpu(), time.perf_counter()
    done = subprocess.run([sys.executable, *argv], cwd=HERE, env=around, capture_output=True, text=True)
    wall = time.perf_counter() - start
    if done.returncode or f"{LINES}" not in done.stdout[-2000:].replace(",", ""):
        raise AssertionError(done.stderr or done.stdout[-200:])
    return {"wall": wall * 1e3, "cpu": (_cpu() - before) * 1e3}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
