"""python -m tests.simulation.mutants [--hours N] [NAME ...]: the rules must see each fault.

Each mutant is one line of the code changed, in a copy. Random histories are played on it until a rule breaks;
exit code 1 if one lives through so many hours.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.simulation.play import play_hours

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    file: str
    right: str
    wrong: str


MUTANTS = {
    "a paused task runs by its schedule": Mutant(
        "core/planning.py", "if state.paused and not state.forced:", "if state.paused and False:"
    ),
    "a slot that ran is forgotten when the clock is set back": Mutant(
        "core/planning.py",
        "if state.slot is not None and state.slot < last + CHANGED:",
        "if state.slot is None:",
    ),
    "moments of a wrong clock are believed": Mutant(
        "core/state.py", "return self.changed(**ahead) if ahead else self", "return self"
    ),
    "a force is not kept": Mutant(
        "core/state.py",
        "return self.changed(due_now=True, forced=True, asked_by=self.asked_by or who)",
        "return self",
    ),
    "a retry comes at once": Mutant(
        "core/planning.py", "return task.retry_delay * 2.0 ** min(attempt, 99)", "return 1.0"
    ),
    "a run that ends frees no place for the next": Mutant(
        "engine/scheduler.py",
        "        self._dispatch.reschedule(job)\n        self._dispatch.start_ready()",
        "        pass",
    ),
    "the next wake is not given what the last owner saw": Mutant(
        "engine/scheduler.py",
        "self._runs.results.extend(results_since(delivered, rows, states, self._clock.now()))",
        "pass",
    ),
    "runs are counted by the second": Mutant(
        "core/state.py", "new.run_count += 1", "new.run_count += self.run_count % 2"
    ),
    "the clock that was set is not noticed": Mutant(
        "engine/dispatcher.py", "self._jump = self._clock.on_jump(self._clock_jumped)", "pass"
    ),
    "the screen's next time is an hour late": Mutant(
        "engine/job.py", "NEVER if self.busy else self.when,", "NEVER if self.busy else self.when + 3600,"
    ),
    "an answer does not wait for the disk": Mutant(
        "storage/state_store.py",
        "return await asyncio.shield(self._save_now())",
        "return await asyncio.shield(self._quick.join())",
    ),
    "results are delivered again after a restart": Mutant(
        "engine/wake/results.py", "(row.task, row.finished) == (delivered.task, delivered.finished)", "False"
    ),
    "a part of the settings counts": Mutant(
        "control/following/settings_watch.py", "now - self._since < TAKEN_AWAY", "False"
    ),
    # Each of these takes out a fix.
    "slots of a pause are missed": Mutant(
        "core/state.py",
        "return (self.gave_up() if passed else self).changed(wanted_since=now)",
        "return self",
    ),
    "what a wake was given is not in the history": Mutant(
        "engine/wake/wake.py", "await self._recorded()", "pass"
    ),
    "a run is not asked again before its program begins": Mutant(
        "engine/run_registry.py", "self.recheck(run)", "pass"
    ),
    "a run that overran its interval is followed at once": Mutant(
        "core/planning.py",
        "ended = last if state.outcome is INTERRUPTED else last + (state.last_duration or 0.0)",
        "ended = last",
    ),
}


def main() -> int:
    options = _options()
    if options.play:
        return _play(options.hours, options.first)
    lived = [name for name in options.names or MUTANTS if not _is_seen(name, options)]
    for name in lived:
        print(f"not seen: {name}")
    return int(bool(lived))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of mutants; all without one")
    parser.add_argument("--hours", type=float, default=12_000, help="simulated hours that each may live")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--play", action="store_true", help="until a rule breaks, in the code as it is here")
    return parser.parse_args()


def _is_seen(name: str, options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _mutate(copy, MUTANTS[name])
        given = {**os.environ, "PYTHONPATH": folder}
        argv = [sys.executable, "-m", "tests.simulation.mutants", "--play"]
        argv += ["--hours", str(options.hours), "--from", str(options.first)]
        done = subprocess.run(argv, cwd=copy, env=given, capture_output=True, text=True, check=False)
    print(f"{name}: {done.stdout.strip() or done.stderr.strip()[-300:]}", flush=True)
    return done.returncode == 1 and bool(done.stdout)


def _mutate(copy: Path, mutant: Mutant) -> None:
    for part in ("scheduler", "tests/simulation"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "__init__.py", copy / "tests")
    file = copy / "scheduler" / mutant.file
    text = file.read_text()
    if text.count(mutant.right) != 1:
        sys.exit(f"scheduler/{mutant.file} holds this {text.count(mutant.right)} times: {mutant.right}")
    file.write_text(text.replace(mutant.right, mutant.wrong))


def _play(hours: float, first: int) -> int:
    lived = 0.0
    for played in play_hours(hours, first, len(os.sched_getaffinity(0))):
        lived += played.hours
        if played.broken:
            what = ", ".join(sorted({f"{each.rule} ({each.task})" for each in played.broken}))
            print(f"seen by seed {played.seed} after {lived:,.0f} hours: {what}")
            return 1
    print(f"not seen in {lived:,.0f} hours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
