"""Keys in the monitor while a handler holds the scheduler's loop up for five seconds."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child import MeasurementFailed
from benchmarks.homes import environment, settle
from benchmarks.numbers import percentile
from benchmarks.screens.monitor import CITIZEN, KEYS, OURS
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row

SECONDS = 5.0
LEAD = 6.0  # seconds after the start at which the handler begins

HANDLER = f"""
import time
from pathlib import Path

async def asleep(context):
    (context.home / "began").touch()
    time.sleep({SECONDS})

async def computing(context):
    (context.home / "began").touch()
    end = time.monotonic() + {SECONDS}
    while time.monotonic() < end:
        sum(range(1000))
"""


def stall(quick: bool) -> Iterator[Row]:
    """A handler that sleeps, and one that computes and so keeps other threads waiting for the interpreter."""
    for kind in ("asleep",) if quick else ("asleep", "computing"):
        before, during = _keys(kind)
        mine = percentile(during, 99)
        beside = Beside("the same before the stall", percentile(before, 99), mine / percentile(before, 99))
        note = f"p50 {percentile(during, 50):.3g} ms of {len(during)} keys"
        bars = (Bar("< 100 ms", mine < 100),)
        yield Row(f"key p99 while a handler blocks 5 s, {kind}", mine, "ms", (beside,), bars, note)


def _keys(kind: str) -> tuple[list[float], list[float]]:
    """Milliseconds from key to paint, before and while the handler blocks."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        began = _blocked_soon(root, kind)
        around = environment(root, PYTHONPATH=folder)
        with closing(Terminal(OURS, around)) as terminal:
            terminal.shows(CITIZEN)
            terminal.watch(2)
            before: list[float] = []
            during: list[float] = []
            deadline = time.monotonic() + LEAD + 5
            while not began.exists():
                before.append(terminal.key(KEYS[len(before) % len(KEYS)]))
                if time.monotonic() > deadline:
                    raise MeasurementFailed("the handler that should block did not begin")
            end = time.monotonic() + SECONDS - 0.5
            while time.monotonic() < end:
                during.append(terminal.key(KEYS[len(during) % len(KEYS)]))
    return before, during


def _blocked_soon(root: Path, kind: str) -> Path:
    """Write a citizen whose handler blocks soon; the file that says it has begun."""
    settle(root, 3)
    (root / "blocking.py").write_text(HANDLER)
    home = root / "citizen0000"
    state = f'{{"last_run": {{"blocking": {time.time() - 3600 + LEAD}}}}}'
    (home / "background_tasks.json").write_text(state)
    task = f'[tasks.blocking]\nevery = "1h"\nhandler = "blocking:{kind}"\n'
    (home / "experience.toml").write_text(task)
    return home / "began"
