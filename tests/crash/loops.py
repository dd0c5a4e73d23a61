"""Headless loops as processes of their own, in a root of their own, ended whatever a test does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.process import process_info as facts

ROOT = Path(__file__).parents[2]
COMMAND_LINE = "import sys; from scheduler.cli.main import main; sys.exit(main())"
STATE = "background_tasks.json"


class Place:
    """A root with one citizen, whose tasks are only those that the test names."""

    def __init__(self, root: Path, citizen: str = "opus") -> None:
        self.root, self.citizen, self.home = root, citizen, root / citizen
        self.log = root / "log"
        self.home.mkdir(exist_ok=True)
        self.config = root / "main.toml"
        self.config.write_text(f"root = {json.dumps(str(root))}\n")

    def tasks(self, *tables: str, more: str = "") -> None:
        """Settings with these tables in, each `name` and its lines; the built-in tasks stay still."""
        quiet = [f"{name}\nenabled = false" for name in BACKGROUND_TASKS]
        lines = [f"[tasks.{table}\n".replace("\n", "]\n", 1) for table in (*quiet, *tables)]
        (self.home / "experience.toml").write_text(more + "\n".join(lines))

    def states(self) -> dict[str, Any]:
        """The state file as it is at this moment: it must parse at any."""
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.home / STATE).read_bytes())
        return {"last_run": {}, "run_counts": {}, "errors": {}, "tasks": {}}

    def entry(self, task: str) -> dict[str, Any]:
        return self.states()["tasks"].get(task, {})

    def count(self, task: str) -> int:
        return self.states()["run_counts"].get(task, 0)

    def lines(self, name: str = "runs.log") -> list[list[str]]:
        """What the tasks themselves wrote, a list of words per whole line."""
        with contextlib.suppress(FileNotFoundError):
            return [line.split() for line in (self.home / name).read_text().splitlines()]
        return []

    def events(self) -> list[dict[str, Any]]:
        """What the loops logged."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return []

    def environment(self) -> dict[str, str]:
        ours = {"EXPERIENCE_CONFIG": str(self.config), "HOME": str(self.root)}
        return {**os.environ, **ours}

    def argv(self, *flags: str) -> list[str]:
        return [sys.executable, "-c", COMMAND_LINE, "--citizen", self.citizen, *flags]

    @contextlib.contextmanager
    def loop(
        self, *flags: str, before: Sequence[str] = (), **more: Any
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """The loop, started by the words `before`; its lines go to `log`. Killed at the end, if it runs."""
        argv = [*before, *self.argv("--loop", "--background-only", "--log-json", *flags)]
        with self.log.open("ab") as log:
            given = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, "start_new_session": True}
            given["env"] = self.environment()
            process = subprocess.Popen(argv, cwd=ROOT, **{**given, **more})
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)

    def call(self, *flags: str, seconds: float = 20, **more: Any) -> "subprocess.CompletedProcess[str]":
        """One call of the command line, to its end."""
        return subprocess.run(
            self.argv(*flags),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            **more,
        )

    def end(self, *pids: int) -> None:
        """Kill what a test knows that it started."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def command(name: str, script: str, every: str = "1h", **more: object) -> str:
    """A task that runs a shell script."""
    lines = [name, f"every = {json.dumps(every)}", f"command = {json.dumps(['sh', '-c', script])}"]
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in more.items())])


def logged(seconds: float | str) -> str:
    """A script that writes when it starts and ends, and its pid, in one write each."""
    return f"echo start $$ >> runs.log; sleep {seconds}; echo end $$ >> runs.log"


def gone(pid: int) -> bool:
    found = facts.stat(pid)
    return found is None or found.state in "ZX"


def everything_in(folder: Path) -> Mapping[str, tuple[int, int, int]]:
    """Every file and folder below, as it is: to compare before and after."""
    stats = {str(path): path.lstat() for path in (folder, *folder.rglob("*"))}
    return {name: (found.st_ino, found.st_mtime_ns, found.st_size) for name, found in stats.items()}
