"""One measurement, in a process of its own: started by `measure`, answers with one line of JSON."""

import asyncio
import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.numbers import Sample
from scheduler.process.startup import prepare_process

HERE = Path(__file__).resolve().parent.parent
PATIENCE = 120.0  # seconds that one measurement may take

Contestant = str  # "module:function" of this package; the function is async and gives a Sample


class MeasurementFailed(Exception):
    """The process of a measurement ended without an answer."""


def measure(contestant: Contestant, **arguments: Any) -> Sample:
    """What this contestant achieves."""
    command = [sys.executable, "-m", "benchmarks.child", contestant, json.dumps(arguments)]
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise MeasurementFailed(f"{contestant}: no answer within {PATIENCE:.0f} s") from late
    try:
        sample: Sample = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise MeasurementFailed(f"{contestant}: {last}") from None
    return sample


def in_turn(contestants: Sequence[Contestant], repeats: int, **arguments: Any) -> list[list[Sample]]:
    """The samples of each contestant; one at a time, interleaved, so that noise meets all of them."""
    rounds = [[measure(each, **arguments) for each in contestants] for _ in range(repeats)]
    return [list(samples) for samples in zip(*rounds, strict=True)]


def at_once(contestants: Sequence[Contestant], repeats: int, **arguments: Any) -> list[list[Sample]]:
    """The same in the same seconds: only for loads that leave the machine almost idle."""
    with ThreadPoolExecutor(len(contestants)) as pool:
        rounds = [
            list(pool.map(lambda each: measure(each, **arguments), contestants)) for _ in range(repeats)
        ]
    return [list(samples) for samples in zip(*rounds, strict=True)]


def _main(contestant: str, arguments: str) -> None:
    prepare_process()  # for everybody, as our own programs begin
    # No log lines are measured.
    for name in ("experience", "apscheduler"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    module, function = contestant.split(":")
    work = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    sample = asyncio.run(_until_answered(work, json.loads(arguments)))
    print(json.dumps(sample), flush=True)


async def _until_answered(work: Any, arguments: dict[str, Any]) -> Sample:
    sample: Sample = await work(**arguments)
    print(json.dumps(sample), flush=True)
    os._exit(0)  # tearing 70,000 tasks down is not what was measured


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
