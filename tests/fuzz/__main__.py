"""Fuzzes one reader for as long as you like: `nice python -m tests.fuzz settings --minutes 10`."""

import argparse
import faulthandler
import logging
import random
import sys
import time
from importlib import import_module

import psutil
from hypothesis import HealthCheck, given, seed, settings

TARGETS = ("crontab", "settings", "state", "socket", "owner")
ROUND = 500  # examples between two looks at the clock and the memory
SLOWEST = 5.0  # seconds of processor time for one example: the machine may be busy with other things
HANGS = 300  # seconds of one round after which it is stuck, and where is printed
GROWTH = 24 << 20  # bytes that the process may grow after the first rounds


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    chosen = parser.parse_args()
    logging.disable()
    target = import_module(f"tests.fuzz.on_{chosen.target}")
    end, rounds, settled = time.monotonic() + 60 * chosen.minutes, 0, 0
    while time.monotonic() < end:
        faulthandler.dump_traceback_later(HANGS, exit=True)
        _round(target, chosen.seed + rounds)
        rounds += 1
        size = psutil.Process().memory_info().rss
        settled = size if rounds <= 5 else settled
        if size - settled > GROWTH:
            print(f"{chosen.target}: grew from {settled >> 20} to {size >> 20} MB in {rounds} rounds")
            return 1
    grown = (psutil.Process().memory_info().rss - settled) / 2**20
    print(
        f"{chosen.target}: {rounds * ROUND:,} examples in {chosen.minutes:g} minutes, seed {chosen.seed}, "
        f"memory grew by {grown:.1f} MB after the first {5 * ROUND:,}"
    )
    return 0


def _round(target, number: int) -> None:
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @seed(number)
    @given(target.CASES)
    def examine(case) -> None:
        began = time.process_time()
        target.check(case)
        assert time.process_time() - began < SLOWEST

    examine()


if __name__ == "__main__":
    sys.exit(main())
