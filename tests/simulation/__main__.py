"""python -m tests.simulation [--hours N] [--from SEED] [--seed SEED] [--processes N]

Plays random histories and tells the story of each rule that breaks; exit code 1 if one did.
"""

import argparse
import sys
import time

from tests.simulation.history import history
from tests.simulation.play import Played, play, play_hours, story_of

STORIES = 3  # of different rules; the rest is named
REPORT_EVERY = 60.0


def main() -> int:
    options = _options()
    if options.seed is not None:
        broken = play(history(options.seed))[1]
        _tell([Played(options.seed, 0.0, tuple(broken))])
        return int(bool(broken))
    failed = _play(options)
    _tell(failed)
    return int(bool(failed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--hours", type=float, default=10_000, help="simulated hours to play")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _play(options: argparse.Namespace) -> list[Played]:
    began = said = time.monotonic()
    failed, hours, seeds = [], 0.0, 0
    for played in play_hours(options.hours, options.first, options.processes):
        hours, seeds = hours + played.hours, seeds + 1
        if played.broken:
            failed.append(played)
            print(
                f"seed {played.seed}: {', '.join(sorted({each.rule for each in played.broken}))}", flush=True
            )
        if time.monotonic() - said > REPORT_EVERY:
            said = time.monotonic()
            print(f"{hours:,.0f} hours, {seeds:,} histories, {len(failed)} broken", flush=True)
    minutes = (time.monotonic() - began) / 60
    print(
        f"{hours:,.0f} hours in {minutes:.1f} minutes ({hours / minutes:,.0f} a minute), {seeds:,} histories"
    )
    return failed


def _tell(failed: list[Played]) -> None:
    told: set[str] = set()
    for played in failed:
        for broken in played.broken:
            if broken.rule not in told and len(told) < STORIES:
                told.add(broken.rule)
                print(f"\n{story_of(played.seed, broken)}")


if __name__ == "__main__":
    sys.exit(main())
