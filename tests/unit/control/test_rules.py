"""What the settings of a citizen say reaches its scheduler."""

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

from scheduler.agents.refusals.refusal_rule import RefusalRule
from scheduler.config.settings import CitizenSettings
from scheduler.control.member import rules_of
from scheduler.core.costs import Budget, SpendingRules
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Llm, Retention, WakeTask
from scheduler.engine.options import SchedulerOptions


async def test_every_option_of_a_scheduler_is_set_from_the_settings():
    citizen = CitizenSettings(
        "opus",
        Path("/nowhere/opus"),
        workers=2,
        grace=3.0,
        secrets={"A": "secret"},
        hidden=frozenset({"secret"}),
        wake=WakeTask(schedule=Every(7.0)),
        llm=Llm("http://localhost", "m"),
        history=Retention(runs=9),
        spending=SpendingRules(budget=Budget(run=Decimal(1))),
        refusals=(RefusalRule("nap", "yes", ("zzz",)),),
    )
    rules, usual = rules_of(citizen, FleetOptions()), SchedulerOptions()
    unset = {each.name for each in fields(usual) if getattr(rules, each.name) == getattr(usual, each.name)}
    assert unset == {"background", "journal", "wakes"}
    assert rules.spending == citizen.spending
