"""python -m tests.simulation [--hours N] [--from SEED] [--seed SEED] [--workers N] [--resume FILE]

Plays random histories and tells the story of each rule that breaks; exit code 1 if one did. With --resume a
long run goes on where the last one with this file was stopped, and FILE says how far it has come.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.simulation.play import Played, history_of, play, play_hours, story_of

STORIES = 3  # of different rules; the rest is named
REPORT_EVERY = 60.0


@dataclass
class Progress:
    """How far a run has come."""

    next_seed: int = 0
    hours: float = 0.0
    histories: int = 0
    cpu: float = 0.0  # seconds
    decided: int = 0  # slots and starts that were judged,
    left_open: int = 0  # and those of which the contract alone does not say what is right
    broken: dict[int, list[str]] = field(default_factory=dict)  # the rules, by seed

    def add(self, played: Played) -> None:
        self.next_seed, self.histories = played.seed + 1, self.histories + 1
        self.hours, self.cpu = self.hours + played.hours, self.cpu + played.cpu
        self.decided += played.judged[True]
        self.left_open += played.judged[False]
        if played.broken:
            self.broken[played.seed] = sorted({each.rule for each in played.broken})

    def __str__(self) -> str:
        pace = self.hours / (self.cpu / 60) if self.cpu else 0.0
        return (
            f"{self.hours:,.0f} hours, {self.histories:,} histories, {len(self.broken)} broken; "
            f"{self.decided / max(self.decided + self.left_open, 1):.1%} of slots and starts decided; "
            f"{pace:,.0f} hours a minute of one core; next seed {self.next_seed}"
        )


def main() -> int:
    options = _options()
    if options.seed is not None:
        broken = play(history_of(options.seed))[1]
        _tell([Played(options.seed, 0.0, tuple(broken), 0.0)])
        return int(bool(broken))
    progress = _resumed(options.resume) or Progress(options.first)
    failed = _play(options, progress)
    print(progress)
    for seed, rules in progress.broken.items():
        print(f"seed {seed}: {', '.join(rules)}")
    _tell(failed)
    return int(bool(progress.broken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--hours", type=float, default=10_000, help="simulated hours to play")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--resume", type=Path, help="a file that keeps how far it has come")
    return parser.parse_args()


def _resumed(file: Path | None) -> Progress | None:
    if file is None or not file.exists():
        return None
    kept = json.loads(file.read_text())
    return Progress(**kept | {"broken": {int(seed): rules for seed, rules in kept["broken"].items()}})


def _play(options: argparse.Namespace, progress: Progress) -> list[Played]:
    said, failed = time.monotonic(), []
    for played in play_hours(options.hours - progress.hours, progress.next_seed, options.workers):
        progress.add(played)
        if played.broken:
            failed.append(played)
            print(f"seed {played.seed}: {', '.join(progress.broken[played.seed])}", flush=True)
        if options.resume:
            options.resume.write_text(json.dumps(asdict(progress)))
        if time.monotonic() - said > REPORT_EVERY:
            said = time.monotonic()
            print(progress, flush=True)
    return failed


def _tell(failed: list[Played]) -> None:
    shown: set[str] = set()
    for played in failed:
        for broken in played.broken:
            if broken.rule not in shown and len(shown) < STORIES:
                shown.add(broken.rule)
                print(f"\n{story_of(played.seed, broken)}")


if __name__ == "__main__":
    sys.exit(main())
