"""The monitor on a thousand citizens of which much happens, on a usual and on a large terminal."""

from collections.abc import Iterator
from contextlib import closing
from os import environ

from benchmarks.numbers import percentile
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row

CITIZENS = 1000
SIZES = ((120, 40), (200, 60))
CURSOR, FRAME = "❯".encode(), b"citizen0"  # of a panel: its title
TABLE, HEADS, ROWS = b"v", b"last ten", 7000
MOVES = (b"j", b"k", b"\x1b[B", b"\x1b[A")
FILTER = b"citizen0777"
EMPTY = ("-m", "benchmarks.screens.empty_app")


def big(quick: bool) -> Iterator[Row]:
    """CPU, memory, keys, the table and the filter while fifty tasks run and twenty a second change."""
    for size in SIZES[:1] if quick else SIZES:
        yield from _rows(size, quick)


def _rows(size: tuple[int, int], quick: bool) -> Iterator[Row]:
    arguments = ("-m", "benchmarks.screens.at_work", str(CITIZENS))
    what = f"{CITIZENS:,} citizens at work, {size[0]}x{size[1]}"
    with (
        closing(Terminal(arguments, environ, size)) as ours,
        closing(Terminal(EMPTY, environ, size)) as empty,
    ):
        ours.shows(b"citizen0000")
        empty.shows(b"some words")
        for terminal in (ours, empty):
            terminal.watch(5)
        cpu, floor = _cpu(ours, empty, 4 if quick else 15)
        keys = [ours.until(MOVES[n % len(MOVES)], CURSOR) for n in range(40 if quick else 150)]
        memory, least = ours.resident(), empty.resident()
        ours.until(TABLE, HEADS)
        moved = [ours.until(MOVES[n % len(MOVES)], CURSOR) for n in range(40 if quick else 150)]
        floor_keys = [empty.key(MOVES[n % len(MOVES)]) for n in range(20 if quick else 80)]
        ordered = [ours.until(key, CURSOR) for key in (b"s", b"R") * (2 if quick else 6)]
        ours.until(TABLE, FRAME)
        typed = [each for _ in range(1 if quick else 4) for each in _filter(ours)]
    pair = (Beside("empty app", floor, cpu / floor),)
    yield Row(f"CPU, {what}", cpu, "% of a core", pair, (Bar("<= 6 %", cpu <= 6),))
    pair = (Beside("empty app", least, memory / least),)
    yield Row(f"memory, {what}", memory, "MB", pair, (Bar("<= 120 MB", memory <= 120),))
    yield Row(f"key to paint p50, {what}", percentile(keys, 50), "ms")
    late = percentile(keys, 99)
    yield Row(f"key to paint p99, {what}", late, "ms", bars=(Bar("<= 50 ms", late <= 50),))
    late, least = percentile(moved, 99), percentile(floor_keys, 99)
    pair = (Beside("a key of the empty app", least, late / least),)
    bars = (Bar("<= 50 ms", late <= 50),)
    yield Row(f"key to paint p99, table of {ROWS:,} rows, {what}", late, "ms", pair, bars)
    yield Row(f"sort to paint, worst, table of {ROWS:,} rows, {what}", max(ordered), "ms")
    worst = max(typed)
    bars = (Bar("<= 50 ms", worst <= 50),)
    note = f"median {percentile(typed, 50):.3g} ms of {len(typed)} letters"
    yield Row(f"letter of a filter to paint, worst, {what}", worst, "ms", (), bars, note)


def _cpu(ours: Terminal, empty: Terminal, seconds: float) -> tuple[float, float]:
    """Per cent of a core, both in the same seconds."""
    before = [terminal.cpu() for terminal in (ours, empty)]
    for _ in range(int(seconds * 10)):
        for terminal in (ours, empty):
            terminal.watch(0.05)
    spent = [terminal.cpu() - start for terminal, start in zip((ours, empty), before, strict=True)]
    return 100 * spent[0] / seconds, 100 * spent[1] / seconds


def _filter(terminal: Terminal) -> list[float]:
    """Milliseconds from each letter until the panels that are left are painted."""
    terminal.until(b"/", b"citizen, task")
    letters = [FILTER[n : n + 1] for n in range(len(FILTER))]
    times = [terminal.until(letter, FRAME) for letter in letters]
    terminal.until(b"\x1b", FRAME)
    return times
