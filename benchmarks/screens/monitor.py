"""The monitor in a real terminal, beside an empty app with a clock."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.homes import environment, settle
from benchmarks.numbers import middle, percentile, ratio
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row

OURS, EMPTY = ("-m", "tui", "--own-as-root"), ("-m", "benchmarks.screens.empty_app")
FRAME = {OURS: b"Experience", EMPTY: b"some words"}
CITIZEN = b"citizen0000"
KEYS = (b"j", b"k", b"\x1b[B", b"\x1b[A")


@dataclass(slots=True)
class Screen:
    """What was measured of one program."""

    arguments: tuple[str, ...]
    around: Mapping[str, str]
    frames: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    keys: list[float] = field(default_factory=list)
    cpu: float = 0.0
    table: float = 0.0  # the same while the table is shown
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
        mine.until(b"v", b"last ten")
        mine.watch(1)
        _idle(((ours, mine), (empty, floor)), seconds=3 if quick else 10)
        ours.table, empty.table = ours.cpu, empty.cpu
        mine.until(b"v", CITIZEN)
        mine.watch(1)
        _idle(((ours, mine), (empty, floor)), seconds=3 if quick else 10)
        for screen, terminal, other in ((ours, mine, floor), (empty, floor, mine)):
            terminal.watch(0.1)
            screen.keys += [terminal.key(KEYS[i % len(KEYS)]) for i in range(12 if quick else 32)]
            other.watch(0.1)


def _idle(pairs: Sequence[tuple[Screen, Terminal]], seconds: float) -> None:
    """CPU time is the process's own: both idle in the same seconds."""
    before = [terminal.cpu() for _, terminal in pairs]
    for _ in range(int(seconds * 10)):
        for _, terminal in pairs:
            terminal.watch(0.05)
    for (screen, terminal), start in zip(pairs, before, strict=True):
        screen.cpu = 100 * (terminal.cpu() - start) / (0.1 * int(seconds * 10))
        screen.memory = terminal.resident()


def _rows(what: str, citizens: int, ours: Screen, empty: Screen) -> Iterator[Row]:
    frame, floor = [{"s": each} for each in ours.frames], [{"s": each} for each in empty.frames]
    beside = Beside("empty app", middle(floor, "s") * 1e3, ratio(frame, floor, "s"))
    first = middle(frame, "s")
    bars = (Bar("<= 500 ms", first <= 0.5),)
    note = f"the first citizen after {median(ours.full) * 1e3:,.0f} ms"
    yield Row(f"first frame, {what}", first * 1e3, "ms", (beside,), bars, note)
    more = ours.cpu / empty.cpu
    pair = (Beside("empty app", empty.cpu, more),)
    yield Row(f"idle CPU, {what}", ours.cpu, "% of a core", pair, (Bar("<= 3 x empty app", more <= 3),))
    more = ours.table / empty.table
    pair = (Beside("empty app", empty.table, more),)
    bars = (Bar("<= 3 x empty app", more <= 3),)
    yield Row(f"idle CPU, table of {what}", ours.table, "% of a core", pair, bars)
    small = (Bar("<= 75 MB", ours.memory <= 75),) if citizens == 3 else ()
    pair = (Beside("empty app", empty.memory, ours.memory / empty.memory),)
    yield Row(f"memory, {what}", ours.memory, "MB", pair, small)
    for percent in (50, 99):
        mine, theirs = percentile(ours.keys, percent), percentile(empty.keys, percent)
        quick = (Bar("<= 40 ms", mine <= 40),) if percent == 99 else ()
        pair = (Beside("empty app", theirs, mine / theirs),)
        yield Row(f"key to paint p{percent}, {what}", mine, "ms", pair, quick)
