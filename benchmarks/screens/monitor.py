"""The monitor in a real terminal, beside an empty app with a clock."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.homes import environment, settle
from benchmarks.numbers import Sample, middle, percentile, ratio
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row

OURS, EMPTY = ("-m", "tui", "--own-as-root"), ("-m", "benchmarks.screens.empty_app")
FRAME = {OURS: b"Experience", EMPTY: b"some words"}
CITIZEN = b"citizen0000"
KEYS = (b"j", b"k", b"\x1b[B", b"\x1b[A")
LOOKS_AT_ALL = 10.0  # seconds of one window: in each, every home is looked at once, however many there are
WINDOWS = 5


@dataclass(slots=True)
class Screen:
    """What was measured of one program."""

    arguments: tuple[str, ...]
    around: Mapping[str, str]
    frames: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    keys: list[float] = field(default_factory=list)
    panels: list[Sample] = field(default_factory=list)  # a window each: CPU while the panels are shown
    table: list[Sample] = field(default_factory=list)
    memory: float = 0.0

    def start(self) -> Terminal:
        terminal = Terminal(self.arguments, self.around)
        self.frames.append(terminal.shows(FRAME[self.arguments]))
        if self.arguments == OURS:
            self.full.append(terminal.shows(CITIZEN))
        return terminal


def monitor(quick: bool) -> Iterator[Row]:
    """First frame, idle CPU, memory and keys with few and with many citizens."""
    for citizens in (3,) if quick else (3, 300, 1000):
        with TemporaryDirectory() as folder:
            settle(Path(folder), citizens)
            around = environment(Path(folder))
            ours, empty = Screen(OURS, around), Screen(EMPTY, around)
            _measure(ours, empty, quick)
        yield from _rows(f"{citizens:,} citizens", citizens, ours, empty)


def _measure(ours: Screen, empty: Screen, quick: bool) -> None:
    for screen in (ours, empty):  # the first start may have to compile
        Screen(screen.arguments, screen.around).start().close()
    for _ in range(0 if quick else 2):
        for screen in (ours, empty):
            screen.start().close()
    with closing(ours.start()) as mine, closing(empty.start()) as floor:
        mine.become_idle()
        pairs, seconds = ((ours, mine), (empty, floor)), 3 if quick else LOOKS_AT_ALL
        for _ in range(1 if quick else WINDOWS):
            mine.until(b"v", b"last ten")
            _idle(pairs, lambda screen: screen.table, seconds)
            mine.until(b"v", CITIZEN)
            _idle(pairs, lambda screen: screen.panels, seconds)
        for screen, terminal in pairs:
            screen.memory = terminal.resident()
        for screen, terminal, other in ((ours, mine, floor), (empty, floor, mine)):
            terminal.watch(0.1)
            screen.keys += [terminal.key(KEYS[i % len(KEYS)]) for i in range(12 if quick else 32)]
            other.watch(0.1)


def _idle(
    pairs: Sequence[tuple[Screen, Terminal]], kept: Callable[[Screen], list[Sample]], seconds: float
) -> None:
    """One window: CPU time is the process's own, and both idle in the same seconds."""
    for _, terminal in pairs:
        terminal.watch(0.5)
    before, start = [terminal.cpu() for _, terminal in pairs], time.perf_counter()
    while time.perf_counter() < start + seconds:
        for _, terminal in pairs:
            terminal.watch(0.05)
    for (screen, terminal), used in zip(pairs, before, strict=True):
        share = 100 * (terminal.cpu() - used) / (time.perf_counter() - start)
        kept(screen).append({"cpu": share})


def _rows(what: str, citizens: int, ours: Screen, empty: Screen) -> Iterator[Row]:
    frame, floor = [{"s": each} for each in ours.frames], [{"s": each} for each in empty.frames]
    beside = Beside("empty app", middle(floor, "s") * 1e3, ratio(frame, floor, "s"))
    first = middle(frame, "s")
    bars = (Bar("<= 500 ms", first <= 0.5),)
    note = f"the first citizen after {median(ours.full) * 1e3:,.0f} ms"
    yield Row(f"first frame, {what}", first * 1e3, "ms", (beside,), bars, note)
    yield _idle_row(f"idle CPU, {what}", ours.panels, empty.panels)
    yield _idle_row(f"idle CPU, table of {what}", ours.table, empty.table)
    small = (Bar("<= 75 MB", ours.memory <= 75),) if citizens == 3 else ()
    pair = (Beside("empty app", empty.memory, ours.memory / empty.memory),)
    yield Row(f"memory, {what}", ours.memory, "MB", pair, small)
    for percent in (50, 99):
        mine, theirs = percentile(ours.keys, percent), percentile(empty.keys, percent)
        quick = (Bar("<= 40 ms", mine <= 40),) if percent == 99 else ()
        pair = (Beside("empty app", theirs, mine / theirs),)
        yield Row(f"key to paint p{percent}, {what}", mine, "ms", pair, quick)


def _idle_row(what: str, ours: Sequence[Sample], empty: Sequence[Sample]) -> Row:
    """The medians of all windows, and that of their ratios."""
    more = ratio(ours, empty, "cpu")
    pair = (Beside("empty app", middle(empty, "cpu"), more),)
    bars = (Bar("<= 3 x empty app", more <= 3),)
    spread = " ".join(f"{mine['cpu'] / other['cpu']:.2f}" for mine, other in zip(ours, empty, strict=True))
    return Row(what, middle(ours, "cpu"), "% of a core", pair, bars, f"in turn {spread} x")
