"""The cost of wakes: read from what agents say, counted before they start, held by the budget."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scheduler.agents.readers import read_report
from scheduler.core.costs import Budget, SpendingRules
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Command, Outcome, Report, Task, WakeTask
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.paid.as_reported import as_reported
from scheduler.errors import SchedulerError
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result
from scheduler.process.who import Who
from scheduler.spending import ledger as ledgers
from scheduler.spending.ledger import SpendingLedger
from tests.each import each
from tests.fakes import NOON, until
from tests.unit.engine.wake.test_wake import awake

RESULT = '{"type":"result","subtype":"success","num_turns":3,"session_id":"s","total_cost_usd":%s}'
TODAY = "2026-03-02"
NAME = Path(".experience") / ledgers.NAME


def under(**limits: str) -> SpendingRules:
    return SpendingRules(Budget(**{name: Decimal(limit) for name, limit in limits.items()}))


def agent(cost: str = "0.40", exit_code: int = 0) -> Command:
    return Command(("sh", "-c", f"echo '{RESULT % cost}'; exit {exit_code}"))


def writes(report: str) -> Command:
    return Command(("sh", "-c", f"printf '%s' '{report}' > \"$EXPERIENCE_REPORT\""))


def last_wake(home: Path) -> dict[str, Any]:
    wakes: list[dict[str, Any]] = json.loads((home / "wake_log.json").read_text())["wakes"]
    return wakes[-1]


def charges(home: Path) -> list[Decimal | None]:
    entries = [json.loads(line) for line in (home / NAME).read_text().splitlines() if line]
    days = sorted(entry["day"] for entry in entries if "day" in entry)
    ledger = SpendingLedger(home / ".experience")
    ledger.load()
    return [each.cost for each in ledger.charges(date.fromisoformat(days[0]), date.fromisoformat(days[-1]))]


async def test_the_cost_that_a_program_prints_is_in_the_record_of_its_wake(build, clock, home):
    scheduler = await build(wake=WakeTask(work=agent("0.1234567890123456789"), report="claude"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    said = last_wake(home)
    assert (said["cost_usd"], said["turns"], said["session"]) == ("0.1234567890123456789", 3, "s")
    assert charges(home) == [Decimal("0.1234567890123456789")]


async def test_a_report_file_goes_before_what_was_printed(build, clock, home):
    report = '{"cost_usd": 0.12, "tokens_in": 5, "tokens_out": 6, "summary": "tidied up"}'
    scheduler = await build(wake=WakeTask(work=writes(report)))
    await clock.advance()
    await awake(clock, scheduler, 1)
    said = last_wake(home)
    assert (said["cost_usd"], said["tokens_in"], said["summary"]) == ("0.12", 5, "tidied up")


@each("report", ["{", "[]", '{"cost_usd": -1}', '{"cost_usd": NaN}', '{"cost_usd": "1 EUR"}'])
async def test_a_report_that_says_nothing_leaves_the_cost_unknown_and_counted(build, clock, home, report):
    plan = WakeTask(work=writes(report))
    scheduler = await build(wake=plan, spending=under(day="5"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert "cost_usd" not in last_wake(home)
    assert charges(home) == [None]


async def test_the_report_of_an_earlier_wake_is_not_read_again(build, clock, home):
    scheduler = await build(wake=WakeTask(schedule=Every(600), work=writes('{"cost_usd": 0.5}')))
    await clock.advance()
    await awake(clock, scheduler, 1)
    scheduler.set_tasks((), replaced(scheduler, Command(("true",))))
    await clock.advance(601)
    await awake(clock, scheduler, 2)
    assert "cost_usd" not in last_wake(home)


def replaced(scheduler: Any, work: Command) -> Any:
    return SchedulerOptions(wake=WakeTask(schedule=Every(600), work=work))


async def test_a_wake_without_these_settings_leaves_no_ledger(build, clock, home):
    scheduler = await build(wake=WakeTask(work=Command(("true",))))
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert not (home / NAME).exists()
    assert set(last_wake(home)) == {"wake", "time", "outcome", "text"}


async def test_a_wake_that_could_pass_the_budget_is_not_started_before_midnight(build, clock, home):
    plan = WakeTask(schedule=Every(3600), work=agent(), report="claude")
    scheduler = await build(wake=plan, spending=under(day="1.00"))
    for number in (1, 2):
        await clock.advance(3601 * (number - 1))
        await awake(clock, scheduler, number)
    await clock.advance(3600)
    assert scheduler.snapshot().wake.note == "over budget until 00:00 ($0.80 of $1.00)"
    with pytest.raises(SchedulerError, match=r"over budget .* lift it with: .* budget opus --add"):
        await scheduler.wake()
    await clock.advance(3600)
    assert scheduler.snapshot().wake.count == 2
    said = [event.text for event in scheduler.snapshot().events if event.kind == "over budget"]
    assert said == ["over budget until 00:00 ($0.80 of $1.00)"]  # once
    await clock.advance(12 * 3600)
    await awake(clock, scheduler, 3)


async def test_a_budget_that_is_changed_while_a_wake_runs_holds_the_next_one(build, clock, home):
    """The wake under way is counted whole, under the new limits as under the old ones."""
    waits = "while [ ! -e done ]; do sleep 0.02; done; echo '%s'" % (RESULT % "0.40")
    plan = WakeTask(schedule=Every(600), work=Command(("sh", "-c", waits)), report="claude")
    scheduler = await build(wake=plan, spending=under(day="5"))
    await clock.advance()
    await until(lambda: scheduler.snapshot().wake.running_since, "it is awake")
    scheduler.set_tasks((), SchedulerOptions(wake=plan, spending=under(day="0.50")))
    (home / "done").touch()
    await awake(clock, scheduler, 1)
    assert charges(home) == [Decimal("0.40")]
    await clock.advance(601)
    assert scheduler.snapshot().wake.note == "over budget until 00:00 ($0.40 of $0.50)"
    scheduler.set_tasks((), SchedulerOptions(wake=plan, spending=under(day="2")))
    await clock.advance(16)
    await awake(clock, scheduler, 2)
    assert charges(home) == [Decimal("0.40"), Decimal("0.40")]


async def test_what_another_process_adds_to_the_budget_lifts_it_at_once(build, clock, home):
    plan = WakeTask(schedule=Every(60), work=agent(), report="claude")
    scheduler = await build(wake=plan, spending=under(day="0.50"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    await clock.advance(120)
    assert scheduler.snapshot().wake.count == 1
    SpendingLedger(home / ".experience").add_to_budget(date.fromisoformat(TODAY), Decimal(1))
    await clock.advance(16)
    await awake(clock, scheduler, 2)


async def test_something_urgent_waits_for_the_budget(build, clock, home):
    async def urgent(context: Any) -> Report:
        return Report("mail from ct", urgent=True)

    SpendingLedger(home / ".experience").enter("earlier", "wake", date.fromisoformat(TODAY))
    SpendingLedger(home / ".experience").settle("earlier", Decimal(9), None, None)
    task = Task("mail", Every(10_000), Call(urgent))
    plan = WakeTask(schedule=Every(50_000), work=agent(), report="claude")
    scheduler = await build(task, wake=plan, spending=under(day="5"))
    await clock.advance(10)
    await until(lambda: scheduler.snapshot().wake.note.startswith("over budget"), "the wake is held")
    assert scheduler.snapshot().wake.count == 0


async def test_a_ledger_that_cannot_be_written_starts_no_paid_wake(build, clock, home):
    (home / NAME.parent).mkdir(exist_ok=True)
    (home / NAME).mkdir()
    scheduler = await build(wake=WakeTask(work=Command(("touch", "woken")), report="claude"))
    await clock.advance()
    await until(lambda: scheduler.snapshot().wake.error, "the wake failed")
    assert "its cost cannot be noted" in scheduler.snapshot().wake.error
    assert not (home / "woken").exists()


async def test_the_agent_is_told_its_budget_and_where_to_report(build, clock, home):
    work = Command(("sh", "-c", 'echo "$EXPERIENCE_BUDGET $EXPERIENCE_REPORT" > said'))
    scheduler = await build(wake=WakeTask(work=work), spending=under(run="2.5"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    said, reports = (home / "said").read_text().split(), home / ".experience" / "reports"
    assert said[0] == "2.5" and Path(said[1]).parent == reports
    assert list(reports.iterdir()) == []


async def test_a_refusal_of_the_service_is_in_the_record(build, clock, home):
    work = Command(("sh", "-c", "echo 'Not logged in · Please run /login'; exit 1"))
    scheduler = await build(wake=WakeTask(work=work, report="claude"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert last_wake(home)["refused"] == "auth"


def says(document: str, exit_code: int = 0) -> Command:
    return Command(("sh", "-c", f"printf '%s\\n' '{document}'; exit {exit_code}"))


async def test_the_row_of_a_wake_shows_the_words_of_its_program_not_its_json(build, clock, home):
    said = '{"type":"result","subtype":"success","result":"\\nTwo mails answered.\\nMore","is_error":false}'
    scheduler = await build(wake=WakeTask(work=says(said), report="claude"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert (last_wake(home)["outcome"], last_wake(home)["text"]) == ("ok", "Two mails answered.")


async def test_a_program_that_fails_with_exit_code_0_failed(build, clock, home):
    said = '{"type":"error","error":"Invalid API key"}'
    scheduler = await build(wake=WakeTask(work=says(said), report="goose"))
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert (last_wake(home)["outcome"], last_wake(home)["refused"]) == ("failed", "auth")
    assert scheduler.snapshot().task("wake").error.text == "Invalid API key"


async def test_a_program_that_is_refused_with_exit_code_0_was_refused(build, clock, home):
    said = '{"type":"error","error":"Rate limit exceeded: 429, try again in 2h"}'
    plan = WakeTask(work=says(said), report="goose", provider="anthropic")
    scheduler = await build(wake=plan)
    await clock.advance()

    def refused() -> list[str]:
        return [each.text for each in scheduler.snapshot().events if each.outcome is Outcome.REFUSED]

    await until(refused, "it is refused")
    assert refused() == ["refused by anthropic: usage limit, until 14:00"]


@each(
    ("subtype", "exit_code", "outcome", "text"),
    [
        ("error_max_turns", 1, "failed", "reached its limit of turns"),
        ("error_max_turns", 0, "warning", "reached its limit of turns"),
        ("error_max_budget_usd", 1, "failed", "reached its budget"),
        ("error_during_execution", 1, "failed", "the tool broke"),
        ("success", 1, "failed", "exit 1: done"),
        ("success", 0, "ok", "done"),
    ],
)
def test_what_a_program_says_of_its_end_is_the_result(
    subtype: str, exit_code: int, outcome: str, text: str
) -> None:
    more = {"error_during_execution": {"errors": [text]}, "success": {"result": "done"}}.get(subtype, {})
    printed = json.dumps({"type": "result", "subtype": subtype, **more})
    given = Result(Outcome.FAILED if exit_code else Outcome.OK, '{"type":"result"', code=exit_code)
    said = as_reported(given, read_report("claude", printed, exit_code, NOON, UTC))
    assert (said.outcome, said.text) == (outcome, text)


def test_the_middle_of_a_long_output_is_not_free() -> None:
    """Steps that the bounded output leaves out cost, too: then the sum is unknown."""
    step = '{"type":"step_finish","part":{"cost":0.01,"reason":"stop","tokens":{"input":1}}}'
    output = OutputBuffer()
    for _ in range(1000):
        output.write(step.encode() + b"\n")
    assert read_report("opencode", output.text(), 0, NOON, UTC).cost is None
    assert read_report("opencode", step, 0, NOON, UTC).cost == Decimal("0.01")


def test_noon_is_the_day_of_these_tests() -> None:
    assert f"{datetime.fromtimestamp(NOON, UTC):%Y-%m-%d}" == TODAY


async def over_its_budget(build, clock) -> Any:
    scheduler = await build(
        wake=WakeTask(schedule=Every(3600), work=agent(), report="claude"), spending=under(day="1.00")
    )
    for number in (1, 2):
        await clock.advance(3601 * (number - 1))
        await awake(clock, scheduler, number)
    await clock.advance(3600)
    assert scheduler.snapshot().task("wake").held is not None
    return scheduler


async def test_a_limit_that_is_lifted_lets_the_wake_begin_at_once(build, clock, home):
    scheduler = await over_its_budget(build, clock)
    receipt = await scheduler.add_to_budget("$1", who=Who("ct"))
    assert receipt.text == "opus: $1.00 more for today"
    await clock.advance()
    await awake(clock, scheduler, 3)
    shown = scheduler.snapshot()
    assert shown.money.day_limit == "2.00" and shown.task("wake").held is None
    (lifted,) = [event for event in shown.events if event.kind == "budget lifted"]
    assert (lifted.text, str(lifted.who)) == ("$1.00 more for today", "ct")


async def test_a_limit_that_another_process_lifted_is_shown(build, clock, home):
    scheduler = await over_its_budget(build, clock)
    SpendingLedger(home / ".experience").add_to_budget(date.fromisoformat(TODAY), Decimal(3))
    await clock.advance(20)
    await awake(clock, scheduler, 3)
    assert scheduler.snapshot().money.day_limit == "4.00"


async def test_a_run_lifts_no_limit_and_no_person_one_that_is_not_set(build, clock, home):
    scheduler = await build(
        wake=WakeTask(schedule=Every(3600), work=agent(), report="claude"), spending=under(day="1")
    )
    with pytest.raises(SchedulerError, match=r"a run may not lift a limit .wake #7 asks."):
        await scheduler.add_to_budget("2", who=Who("ct", run="wake #7"))
    with pytest.raises(SchedulerError, match="nothing limits all citizens together"):
        await scheduler.add_to_budget("2", together=True)
    for amount in ("-1", "0", "NaN", "much", "1e99"):
        with pytest.raises(SchedulerError, match="no amount of dollars above 0"):
            await scheduler.add_to_budget(amount)
