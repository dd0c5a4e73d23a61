"""The details screen: opened on a long history, and following a command that prints 10 MB a second."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.homes import environment, settle
from benchmarks.numbers import percentile
from benchmarks.screens.monitor import CITIZEN, KEYS, OURS
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row
from scheduler.core.records import FinishedRun
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.executors.output import OutputBuffer
from scheduler.storage.history_file import HistoryFile

RUNS, SIZE = 10_000, 32 * 1024
MARK = b"what it printed"
UP, FOLLOW = (b"\x1b[A", b"paused, G follows"), (b"G", b"following")
LOUD = """
import sys, time
block = b"".join(b"line %07d of a chatty program, in \\x1b[32mgreen\\x1b[0m\\n" % n for n in range(2000))
end = time.monotonic() + 600
while time.monotonic() < end:
    sys.stdout.buffer.write(block)
    sys.stdout.flush()
    time.sleep(len(block) / 10e6)
"""


def details(quick: bool) -> Iterator[Row]:
    """How long opening takes, keys and memory while output comes."""
    yield _opening(4 if quick else 12)
    yield from _following(10 if quick else 30, 4 if quick else 12)


# ------------------------------------------------------------------ opening


def _opening(times: int) -> Row:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settle(root, 3)
        _remember(root / "citizen0000")
        with closing(Terminal(OURS, environment(root))) as terminal:
            terminal.shows(CITIZEN)
            terminal.become_idle()
            opened, floor = [], []
            for _ in range(times):
                floor += [terminal.key(key) for key in KEYS[:2]]  # down and up again
                terminal.watch(0.3)
                opened.append(terminal.until(b"\r", MARK))
                terminal.watch(0.3)
                terminal.until(b"\x1b", b"details")
    first, rest = opened[0], percentile(opened[1:], 50)
    beside = Beside("a key on the fleet", percentile(floor, 50), rest / percentile(floor, 50))
    note = f"the first time {first:.3g} ms, the slowest later one {max(opened[1:]):.3g} ms"
    bars = (Bar("<= 100 ms", rest <= 100), Bar("the first time <= 100 ms", first <= 100))
    return Row(f"details opened, {RUNS:,} runs and 32 KiB of output", rest, "ms", (beside,), bars, note)


def _remember(home: Path) -> None:
    """The runs of the citizen's first task; the newest ones printed much."""
    now = time.time()
    line = b"a line of what it printed, \x1b[36mwith a colour\x1b[0m and some more words\n"
    printed = OutputBuffer()
    printed.write((line * (SIZE // len(line) + 1))[:SIZE])
    runs = [_ended(now - 300 * (RUNS - n), printed if n >= RUNS - 50 else None) for n in range(RUNS)]
    file = HistoryFile(home)
    for first in range(0, RUNS, 1000):
        file.add(runs[first : first + 1000], Retention())
    file.close()


def _ended(at: float, printed: OutputBuffer | None) -> FinishedRun:
    return FinishedRun("heartbeat", Trigger.SCHEDULE, 1, at, at + 1, 1.0, Outcome.OK, "fine", "", printed)


# ------------------------------------------------------------------ following


def _following(seconds: int, pairs: int) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settle(root, 3)
        _loud(root)
        with closing(Terminal(OURS, environment(root))) as terminal:
            terminal.shows(CITIZEN)
            terminal.watch(3)
            quiet, cpu_before = terminal.resident(), _cpu(terminal, 3)
            before = [terminal.key(KEYS[n % 2]) for n in range(6)]
            terminal.until(b"\r", b"of a chatty program")
            terminal.watch(2)
            early, cpu = terminal.resident(), _cpu(terminal, 3)
            terminal.press(b"\t")
            keys = [terminal.until(*step) for _ in range(pairs) for step in (UP, FOLLOW)]
            terminal.watch(seconds)
            late = terminal.resident()
    slow, floor = percentile(keys, 99), percentile(before, 50)
    pair = (Beside("a key on the fleet", floor, slow / floor),)
    note = f"p50 {percentile(keys, 50):.3g} ms of {len(keys)} keys"
    yield Row("key p99 while 10 MB/s are followed", slow, "ms", pair, (Bar("<= 60 ms", slow <= 60),), note)
    pair = (Beside("on the fleet, before", quiet, late / quiet),)
    more = late - early
    bars = (Bar(f"<= 5 MB more after {seconds} s", more <= 5), Bar("<= 120 MB", late <= 120))
    yield Row("memory while 10 MB/s are followed", late, "MB", pair, bars, f"{more:.2g} MB more at the end")
    beside = Beside("the same command, not looked at", cpu_before, cpu / cpu_before)
    yield Row("CPU while 10 MB/s are followed", cpu, "% of a core", (beside,))


def _loud(root: Path) -> None:
    """The first task of the first citizen prints without end, from its start on."""
    home = root / "citizen0000"
    (home / "loud.py").write_text(LOUD)
    task = '[tasks.aloud]\nevery = "1h"\npriority = -1\ntimeout = "1h"\ncommand = ["python3", "loud.py"]\n'
    (home / "experience.toml").write_text(task)


def _cpu(terminal: Terminal, seconds: float) -> float:
    """Per cent of a core that the monitor uses, its child not counted."""
    start = terminal.cpu()
    terminal.watch(seconds)
    return 100 * (terminal.cpu() - start) / seconds
