"""A store that decides whether a run may begin: the scheduler asks before the handler starts."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Gate, Outcome, Task, WakeTask
from scheduler.process.process_info import Running
from scheduler.storage.state_store import RunStart, Store
from tests.building import Factory
from tests.fakes import FakeClock, until


class Fenced(Store):
    fenced = True

    def __init__(self, states: dict[str, TaskState] | None = None) -> None:
        super().__init__(states)
        self.asked: list[RunStart] = []
        self.processes: list[Running] = []
        self.put_back: list[str] = []
        self.allows = True

    async def started(self, start: RunStart) -> Mapping[str, str] | None:
        self.asked.append(start)
        return {"EXPERIENCE_SLOT": "opus/echo/1"} if self.allows else None

    def withdrawn(self, task: str) -> None:
        self.put_back.append(task)

    def carried(self, process: Running) -> None:
        self.processes.append(process)


async def test_a_run_begins_once_it_is_on_record_with_the_state_of_its_task(
    build: Factory, clock: FakeClock, noting: Callable[..., Task], runs: list[Any]
) -> None:
    store = Fenced()
    await build(noting(), store=store)
    await clock.advance()
    assert [(each.task, each.attempt, each.trigger) for each in store.asked] == [("tick", 1, "schedule")]
    assert store.asked[0].state.last_run == store.asked[0].started == clock.now()
    assert runs == [clock.now()]


async def test_a_run_that_is_refused_does_not_begin_and_is_no_failure(
    build: Factory, clock: FakeClock, noting: Callable[..., Task], runs: list[Any]
) -> None:
    store = Fenced()
    store.allows = False
    scheduler = await build(noting(), store=store)
    await clock.advance()
    task = scheduler.snapshot().tasks[0]
    assert runs == []
    assert task.outcome is Outcome.INTERRUPTED
    assert task.error and "another process owns this citizen" in task.error.text


async def test_the_process_of_a_run_is_named_before_its_program_starts(
    build: Factory, clock: FakeClock
) -> None:
    store = Fenced()
    scheduler = await build(
        Task("echo", Every(300), Command(("sh", "-c", "echo $$ $EXPERIENCE_SLOT > pid"))), store=store
    )
    await clock.advance()
    await until(lambda: scheduler.snapshot().tasks[0].outcome, "it ended")
    pid, slot = (build.home / "pid").read_text().split()
    assert [each.pid for each in store.processes] == [int(pid)]
    assert slot == "opus/echo/1"


async def test_a_run_that_was_on_record_when_its_owner_died_and_had_not_begun_is_withdrawn(
    build: Factory, noting: Callable[..., Task]
) -> None:
    begun = Running(2**22 - 1, 1.0, 100.0)
    store = Fenced({"tick": TaskState().started(begun, None, starting=True), "other": TaskState()})
    await build(noting(), store=store)
    assert store.put_back == ["tick"]


async def test_a_wake_that_is_not_worth_its_cost_is_withdrawn(build: Factory, clock: FakeClock) -> None:
    async def turn(context: Any) -> str:
        return "thought"

    store = Fenced()
    await build(store=store, wake=WakeTask(schedule=Every(600.0), work=Call(turn), gate=Gate()))
    await clock.advance(1)
    await until(lambda: store.asked, "the first wake")
    assert store.put_back == []
    for _ in range(200):
        if store.put_back:
            break
        await clock.advance(60)
        await asyncio.sleep(0.01)  # the gate looks on a thread
    assert set(store.put_back) == {"wake"}
