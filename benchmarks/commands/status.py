"""`--status` as a whole process, beside the interpreter alone and the import of the settings library."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child import HERE
from benchmarks.homes import environment, settle
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row

LIBRARY = "python -c 'import pydantic_settings'"
PROGRAMS = {
    "ours": (str(HERE / "core.py"), "--citizen", "citizen0000", "--status"),
    "python -c pass": ("-c", "pass"),
    LIBRARY: ("-c", "import pydantic_settings"),
}


def status(quick: bool) -> Iterator[Row]:
    """Wall time of whole processes."""
    samples: dict[str, list[Sample]] = {name: [] for name in PROGRAMS}
    with TemporaryDirectory() as folder:
        settle(Path(folder), 1)
        around = environment(Path(folder))
        for _ in range(3 if quick else 15):
            for name, arguments in PROGRAMS.items():
                samples[name].append({"ms": _wall(arguments, around) * 1e3})
    ours = samples.pop("ours")
    beside = {
        name: Beside(name, middle(each, "ms"), ratio(ours, each, "ms")) for name, each in samples.items()
    }
    bar = Bar(f"<= 2 x {LIBRARY}", beside[LIBRARY].ratio <= 2)
    yield Row("--status, the whole process", middle(ours, "ms"), "ms", tuple(beside.values()), (bar,))


def _wall(arguments: tuple[str, ...], around: Mapping[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=dict(around), capture_output=True, text=True)
    took = time.perf_counter() - start
    if done.returncode == 2 or (arguments[0] != "-c" and "heartbeat" not in done.stdout):
        raise AssertionError(f"{arguments}: {done.stderr}")
    return took
