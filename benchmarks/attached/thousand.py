"""A thousand citizens in one owner, and a monitor that is attached to all of them."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.attached.attach import ATTACHED, GONE, LIVE, all_show
from benchmarks.attached.owner import Owner
from benchmarks.homes import environment, settle
from benchmarks.screens.monitor import EMPTY, FRAME
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row

CITIZENS = 1000


def thousand(quick: bool) -> Iterator[Row]:
    """What watching costs the owner and the screen; then the owner dies, and another comes."""
    seconds = 5 if quick else 20
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settle(root, CITIZENS)
        around = environment(root)
        with closing(Owner(root, around)) as owner:
            yield from _attached(owner, around, seconds)
        yield from _orphaned(root, around, seconds)


def _attached(owner: Owner, around: dict[str, str], seconds: float) -> Iterator[Row]:
    with closing(Terminal(EMPTY, around)) as floor:
        floor.shows(FRAME[EMPTY])
        floor.become_idle()
        alone, empty = _cpu([owner, floor], floor, seconds)
        with closing(Terminal(ATTACHED, around)) as screen:
            live = screen.shows(LIVE)
            screen.become_idle()
            watched, mine, empty = _cpu([owner, screen, floor], floor, seconds)
            memory = screen.resident()
    what = f"{CITIZENS:,} citizens attached"
    extra = watched - alone
    note = f"{watched:.2f} % with it, {alone:.2f} % without"
    yield Row(f"{what}: owner's extra CPU", extra, "% of a core", (), (Bar("<= 2 %", extra <= 2),), note)
    beside = Beside("empty app", empty, mine / empty)
    bars = (Bar("<= 3 x empty app", mine <= 3 * empty),)
    yield Row(f"{what}: the monitor's idle CPU", mine, "% of a core", (beside,), bars)
    yield Row(f"{what}: states on screen", live * 1e3, "ms")
    yield Row(f"{what}: memory", memory, "MB")


def _orphaned(root: Path, around: dict[str, str], seconds: float) -> Iterator[Row]:
    owner = Owner(root, around)
    with closing(Terminal(ATTACHED, around)) as screen:
        screen.shows(LIVE)
        screen.become_idle()
        owner.kill()
        died = time.perf_counter()
        gone = all_show([screen], GONE) - died
        screen.watch(10)  # attempts to find another become rarer
        (looking,) = _cpu([screen], screen, seconds)
        with closing(Owner(root, around)) as another:
            listening = time.perf_counter()
            back = all_show([screen], b"pid %d" % another.pid) - listening
    what = f"{CITIZENS:,} citizens, owner killed"
    yield Row(f"{what}: until the screen says so", gone, "s", (), (Bar("<= 2 s", gone <= 2),))
    bars = (Bar("<= 5 %", looking <= 5),)
    yield Row(f"{what}: the monitor's CPU while it looks for another", looking, "% of a core", (), bars)
    yield Row(f"{what}: live again after a new one listens", back, "s", (), (Bar("<= 5 s", back <= 5),))


def _cpu(programs: list[Owner | Terminal], painted: Terminal, seconds: float) -> list[float]:
    """What each used in the same seconds, in percent of a core."""
    screens = [each for each in programs if isinstance(each, Terminal)]
    before, start = [each.cpu() for each in programs], time.perf_counter()
    while time.perf_counter() - start < seconds:
        for screen in screens or [painted]:
            screen.watch(0.05)
    took = time.perf_counter() - start
    return [100 * (each.cpu() - cpu) / took for each, cpu in zip(programs, before, strict=True)]
