"""The gate of the wake: what is new wakes, what is not is skipped and said, a broken one wakes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.records import FinishedRun, Forgetful
from scheduler.core.schedules.schedule import Every
from scheduler.core.state import Skips
from scheduler.core.task import Call, Command, Gate, Outcome, Report, Task, WakeTask
from scheduler.core.wording.gates import opened_by
from scheduler.engine.scheduler import Scheduler
from scheduler.engine.wake import gate as gates
from scheduler.errors import TaskFailed
from scheduler.process.who import Who
from scheduler.storage.state_store import DiskStore
from tests.each import each
from tests.fakes import until

NEWS = Gate()


class Ended(Forgetful):
    """The runs that have ended, in place of a history."""

    def __init__(self) -> None:
        self.runs_kept: list[FinishedRun] = []

    def record(self, run: FinishedRun) -> None:
        self.runs_kept.append(run)


class Citizen:
    """A citizen whose wake is gated, and what its turns and tasks do."""

    def __init__(self, build: Any, home: Path, clock: Any) -> None:
        self.build, self.home, self.clock = build, home, clock
        self.letters: list[dict[str, Any]] = []
        self.says: list[Any] = ["nothing"]  # what its task says, each time
        self.ended = Ended()
        self.scheduler: Scheduler

    async def begins(self, gate: Gate | None = NEWS, task: bool = True, **wake: Any) -> "Citizen":
        chores = [Task("mail", Every(100_000), Call(self.task))] if task else []
        plan = WakeTask(**{"schedule": Every(600.0), "work": Call(self.turn), "gate": gate, **wake})
        store = DiskStore(self.home, self.clock)
        self.scheduler = await self.build(*chores, wake=plan, store=store, recorder=self.ended)
        await self.passes(1)
        return self

    async def turn(self, context: Any) -> str:
        self.letters.append(context.options)
        return "thought"

    async def task(self, context: Any) -> Any:
        said = self.says[-1]
        if isinstance(said, Exception):
            raise said
        return said

    async def runs(self, said: Any) -> None:
        """The task runs, and says this."""
        self.says.append(said)
        count = self.row("mail").run_count
        await self.scheduler.force("mail")
        await until(lambda: self.row("mail").run_count > count, "the task ran")
        await self.passes(1)

    async def passes(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await until(lambda: self.row("wake").running_since is None, "the wake is over")
        await self.clock.advance()

    def row(self, name: str) -> Any:
        return self.scheduler.snapshot().task(name)

    def skipped(self) -> list[str]:
        events = self.scheduler.snapshot().events
        return [event.text for event in events if event.outcome is Outcome.SKIPPED]


@pytest.fixture
def citizen(build: Any, home: Path, clock: Any) -> Citizen:
    return Citizen(build, home, clock)


def queued(home: Path, name: str = "mail-1.json", content: str = "{}") -> None:
    (home / "tasks" / "queue").mkdir(parents=True, exist_ok=True)
    (home / "tasks" / "queue" / name).write_text(content)


# ------------------------------------------------------------------ news


async def test_a_wake_with_nothing_new_is_skipped_and_keeps_its_number_and_time(citizen):
    await citizen.begins()
    assert len(citizen.letters) == 1  # the first one
    last = citizen.row("wake").last_run
    for _ in range(3):
        await citizen.passes(600)
    assert len(citizen.letters) == 1
    assert citizen.skipped() == ["nothing new"] * 3
    row = citizen.row("wake")
    assert (row.last_run, row.run_count, row.number) == (last, 1, 1)
    assert row.skips == Skips("2026-03-02", 3, 4)
    assert row.due == last + 2400
    assert json.loads((citizen.home / "metadata.json").read_text())["wake_count"] == 1


async def a_file(citizen: Citizen) -> None:
    queued(citizen.home)


async def a_changed_file(citizen: Citizen) -> None:
    queued(citizen.home, "old.json", "{more}")


async def a_failure(citizen: Citizen) -> None:
    await citizen.runs(TaskFailed("no route"))


async def other_words(citizen: Citizen) -> None:
    await citizen.runs("two letters")


async def a_failure_that_is_over(citizen: Citizen) -> None:
    await citizen.runs(TaskFailed("no route"))
    await citizen.runs("nothing")


async def a_change_below(citizen: Citizen) -> None:
    (citizen.home / "notes" / "deep" / "b.txt").write_text("new")


async def a_file_that_went(citizen: Citizen) -> None:
    (citizen.home / "notes" / "a.txt").unlink()


NEW: list[tuple[Callable[[Citizen], Any], str]] = [
    (a_file, "mail-1.json in the queue"),
    (a_changed_file, "old.json in the queue"),
    (a_failure, "mail failed"),
    (other_words, "mail said something else"),
    (a_failure_that_is_over, "mail failed, mail recovered"),
    (a_change_below, "a change below notes"),
    (a_file_that_went, "a change below notes"),
]


@pytest.mark.parametrize(("happens", "why"), NEW)
async def test_what_is_new_wakes_at_the_next_time_once(citizen, happens, why):
    queued(citizen.home, "old.json")
    (citizen.home / "notes" / "deep").mkdir(parents=True)
    (citizen.home / "notes" / "a.txt").write_text("old")
    await citizen.begins(Gate(paths=("notes",)))
    await citizen.passes(600)
    assert len(citizen.letters) == 1
    await happens(citizen)
    assert len(citizen.letters) == 1
    await citizen.passes(600)
    assert [letter["why"] for letter in citizen.letters[1:]] == [f"news: {why}"]
    await citizen.passes(600)
    assert len(citizen.letters) == 2  # it is no news any more


async def test_the_history_keeps_why_the_gate_opened(citizen):
    await citizen.begins(Gate(at_most=1800.0))
    queued(citizen.home)
    await citizen.passes(600)
    for _ in range(3):
        await citizen.passes(600)
    await citizen.scheduler.wake()
    await citizen.passes(1)
    woken = [run for run in citizen.ended.runs_kept if run.outcome is Outcome.OK and run.task == "wake"]
    news = "news: mail-1.json in the queue"
    assert [run.why for run in woken] == ["the first wake", news, "the last wake was 30m ago", ""]
    assert [opened_by(run.why) for run in woken] == ["", "news", "30m", ""]


async def test_the_same_words_and_the_same_failure_are_no_news(citizen):
    await citizen.begins()
    await citizen.passes(600)
    await citizen.runs("nothing")
    await citizen.passes(600)
    assert len(citizen.letters) == 1
    for _ in range(2):
        await citizen.runs(TaskFailed("no route"))
        await citizen.passes(600)
    assert len(citizen.letters) == 2
    await citizen.runs("nothing")
    await citizen.passes(600)
    assert citizen.letters[-1]["why"] == "news: mail recovered"


async def test_of_a_task_that_measures_only_failures_and_recoveries_are_news(citizen, build, home, clock):
    async def measures(context: Any) -> str:
        return f"disk {clock.now()}"

    plan = WakeTask(schedule=Every(600.0), work=Call(citizen.turn), gate=NEWS)
    loud = Task("load", Every(60.0), Call(measures), news=False)
    citizen.scheduler = await build(loud, wake=plan, store=DiskStore(home, clock))
    for _ in range(40):
        await citizen.passes(60)
    assert len(citizen.letters) == 1


async def test_what_was_seen_survives_a_restart(citizen):
    queued(citizen.home)
    await citizen.begins()
    await citizen.passes(600)
    await citizen.scheduler.stop(0)
    await citizen.begins()
    await citizen.passes(600)
    assert len(citizen.letters) == 1
    queued(citizen.home, "another.json")
    await citizen.scheduler.stop(0)
    await citizen.begins()
    await citizen.passes(600)
    assert citizen.letters[-1]["why"] == "news: another.json in the queue"


async def test_what_comes_during_a_turn_is_news_for_the_next_time(citizen):
    citizen.turn = hasty = _during(citizen)
    await citizen.begins(work=Call(hasty))
    await citizen.passes(600)
    assert [letter["why"] for letter in citizen.letters[1:]] == ["news: during.json in the queue"]
    await citizen.passes(600)
    assert len(citizen.letters) == 2


def _during(citizen: Citizen) -> Any:
    async def turn(context: Any) -> str:
        citizen.letters.append(context.options)
        if len(citizen.letters) == 1:
            queued(citizen.home, "during.json")
        return ""

    return turn


async def test_a_wake_that_failed_is_tried_again_at_its_next_time_without_news(citizen):
    async def fails(context: Any) -> str:
        citizen.letters.append(context.options)
        raise TaskFailed("no tongue")

    await citizen.begins(work=Call(fails))
    await citizen.passes(600)
    assert [letter["why"] for letter in citizen.letters[1:]] == ["the wake before did not end well"]


async def test_it_wakes_anyway_after_so_long(citizen):
    await citizen.begins(Gate(at_most=3600.0))
    for _ in range(13):
        await citizen.passes(600)
    assert [letter["why"] for letter in citizen.letters[1:]] == ["the last wake was 1h ago"] * 2


async def test_by_hand_urgently_and_as_a_retry_it_is_not_asked(citizen):
    await citizen.begins()
    await citizen.scheduler.wake()
    await citizen.passes(1)
    assert citizen.letters[-1]["why"] == "force"
    await citizen.runs(Report("URGENT:1 from ct", urgent=True))
    await citizen.passes(1)
    assert len(citizen.letters) == 3 and citizen.letters[-1]["why"] == "urgent"
    await citizen.passes(600)
    assert len(citizen.letters) == 3


# ------------------------------------------------------------------ a command


def command(script: str) -> Gate:
    return Gate(Command(("sh", "-c", script)))


@each(
    "script, wakes, why",
    [
        ("exit 0", True, "the gate's command said so"),
        ("echo a letter has come; exit 0", True, "a letter has come"),
        ("exit 1", False, "the gate's command said so"),
        ("echo all is quiet; exit 1", False, "all is quiet"),
        ("""echo '{"wakeAgent": false, "reason": "no mail"}'""", False, "no mail"),
        ("""echo noise; echo '{"wakeAgent": true, "reason": "mail"}'; exit 1""", True, "mail"),
        ("""echo '{"wakeAgent": "no"}'""", True, '{"wakeAgent": "no"}'),
        ("""echo '{"wakeAgent": false, "reason": 7}'""", False, "the gate's command said so"),
        ("cat > asked.json; grep -q queue asked.json && echo $EXPERIENCE_GATE $CITIZEN", True, "1 opus"),
        ("yes noise | head -c 5000000; echo; echo the end; exit 1", False, "the end"),
    ],
)
async def test_what_a_command_says(build, tmp_path, clock, script, wakes, why):
    home = tmp_path / f"home{abs(hash(script))}"
    home.mkdir()
    build.home = home
    citizen = await Citizen(build, home, clock).begins(command(script), task=False)
    assert len(citizen.letters) == 1
    await citizen.passes(600)
    said = [letter["why"] for letter in citizen.letters[1:]] or citizen.skipped()
    assert (len(citizen.letters) == 2, said) == (wakes, [why])


@each(
    "script, problem",
    [
        (("sh", "-c", "echo broken; exit 3"), "gate: exit 3: broken"),
        (("sh", "-c", "kill -9 $$"), "gate: killed by SIGKILL"),
        (("no-such-gate",), "gate: no such program: no-such-gate"),
        (("sh", "-c", "sleep 60"), "gate: no answer within 0.3s"),
    ],
)
async def test_a_broken_gate_wakes_and_is_a_warning(build, tmp_path, clock, monkeypatch, script, problem):
    monkeypatch.setattr(gates, "LIMIT", 0.3 if "sleep 60" in script else 20.0)
    home = tmp_path / f"home{abs(hash(script))}"
    home.mkdir()
    build.home = home
    citizen = await Citizen(build, home, clock).begins(Gate(Command(script)), task=False)
    await citizen.passes(600)
    assert len(citizen.letters) == 2
    row = citizen.row("wake")
    assert row.outcome is Outcome.WARNING
    assert row.text.startswith(problem) and row.text.endswith("; thought")


async def test_a_gate_may_print_megabytes(citizen):
    """They are not kept, and its last line counts."""
    says = """head -c 3000000 /dev/zero | tr '\\0' x; echo; echo '{"wakeAgent": false, "reason": "quiet"}'"""
    await citizen.begins(command(says), task=False)
    await citizen.passes(600)
    assert len(citizen.letters) == 1 and citizen.skipped() == ["quiet"]


async def test_a_wake_that_is_stopped_while_its_gate_runs_has_no_turn_and_comes_again(citizen, clock):
    await citizen.begins(command("echo $$ > new; mv new pid; [ -e quick ] || sleep 600"))
    await clock.advance(600)
    await until(lambda: (citizen.home / "pid").exists(), "the gate runs")
    pid = int((citizen.home / "pid").read_text())
    receipt = await citizen.scheduler.stop_run("wake", who=Who("ct"))
    assert receipt.text == "wake: was waiting; will not run"
    await until(lambda: citizen.row("wake").running_since is None, "it is over")
    await until(lambda: not Path(f"/proc/{pid}").exists(), "the gate has ended")
    assert len(citizen.letters) == 1 and citizen.row("wake").failures_in_a_row == 0
    (citizen.home / "quick").touch()
    await citizen.passes(600)
    assert len(citizen.letters) == 2


async def test_a_gate_that_hangs_ends_with_its_citizen(citizen, clock):
    await citizen.begins(command("echo $$ > pid; sleep 600"))
    await clock.advance(600)
    await until((citizen.home / "pid").exists, "the gate runs")
    await citizen.scheduler.stop(0)
    assert len(citizen.letters) == 1
    pid = int((citizen.home / "pid").read_text())
    await until(lambda: not Path(f"/proc/{pid}").exists(), "the gate has ended")


async def test_no_gate_asks_nothing(citizen):
    await citizen.begins(None)
    await citizen.passes(600)
    assert len(citizen.letters) == 2 and citizen.row("wake").skips.skipped == 0
    await asyncio.sleep(0)
