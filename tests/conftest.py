"""What tests share: a clock that stands still, and a citizen's scheduler on it."""

import logging
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.executors.executor import Executor
from scheduler.storage.state_store import Store
from tests.fakes import FakeClock

sys.unraisablehook = sys.__unraisablehook__
if hasattr(signal, "SIGHUP"):  # whoever starts the tests with nohup: their children are to be hung up on
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "opus"
    folder.mkdir()
    return folder


class Factory:
    """Builds schedulers for one home and stops what it built."""

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.home, self.clock = home, clock
        self.workers = Executor()
        self.built: list[Scheduler] = []

    async def __call__(
        self,
        *tasks: Task,
        states: dict[str, TaskState] | None = None,
        store: Any = None,
        recorder: Any = None,
        carrier: Any = None,
        **rules: Any,
    ) -> Scheduler:
        scheduler = Scheduler(
            "opus",
            self.home,
            tasks,
            store=store or Store(states),
            clock=self.clock,
            workers=self.workers,
            rules=SchedulerOptions(**rules),
            recorder=recorder,
            carrier=carrier,
        )
        self.built.append(scheduler)
        await scheduler.start()
        return scheduler


@pytest.fixture
async def build(home: Path, clock: FakeClock) -> AsyncIterator[Factory]:
    factory = Factory(home, clock)
    yield factory
    for scheduler in factory.built:
        scheduler.stop_now()
        await scheduler.stop(0)
    await factory.workers.close()


@pytest.fixture
def runs() -> list[Any]:
    return []


@pytest.fixture
def noting(clock: FakeClock, runs: list[Any]) -> Callable[..., Task]:
    """A task that notes when it ran."""

    def task(name: str = "tick", schedule: Any = None, **more: Any) -> Task:
        async def note(context: Any) -> str:
            runs.append((name, clock.now()) if more.get("priority") else clock.now())
            return "noted"

        return Task(name, schedule or Every(300), Call(note), **more)

    return task


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Whatever this machine has configured stays out of the tests."""
    for name in ("EXPERIENCE_ROOT", "EXPERIENCE_CONFIG", "NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture(autouse=True)
def _shared_folder_as_it_was() -> Iterator[None]:
    """A test that closes the machine's temporary folder makes later ones fail, far from the cause."""
    folder = Path(tempfile.gettempdir())
    before = folder.stat().st_mode
    yield
    after = folder.stat().st_mode
    if after != before:
        folder.chmod(before)
    assert oct(after) == oct(before), f"the mode of {folder} is another one after this test"


@pytest.fixture(autouse=True)
def _loggers_as_new() -> None:
    """What an earlier test, or a library in it, did to our loggers is undone."""
    logging.disable(logging.NOTSET)
    for name in ("experience", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "experience":
            logger = logging.getLogger(name)
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)
