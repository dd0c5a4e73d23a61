"""A citizen that is removed from the settings while a run of it is under way, and then the end."""

import asyncio
import json

from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from tests.fakes import until

SLOW = '[tasks.slow]\nevery = "1h"\ncommand = ["sh", "-c", "touch begun; sleep 60"]\n'


async def test_the_end_waits_for_a_citizen_that_is_just_being_removed(tmp_path):
    main, home = tmp_path / "main.toml", tmp_path / "root" / "opus"
    home.mkdir(parents=True)
    main.write_text(f"root = {json.dumps(str(home.parent))}\n[citizens.opus]\ngrace = '30s'\n{_of_opus()}")
    loop, odd = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: odd.append(context))
    fleet = Fleet(FleetOptions(config=main, wakes=False))
    await fleet.start()
    (scheduler,) = fleet.schedulers()
    await until((home / "begun").exists, "it runs")
    main.write_text(f"root = {json.dumps(str(home.parent))}\n")
    home.rename(tmp_path / "away")
    fleet.reload()
    await until(lambda: scheduler.stopping, "it is being removed")
    await fleet.stop(0)
    await asyncio.sleep(0)
    assert odd == []
    (row,) = (task for task in scheduler.snapshot().tasks if task.name == "slow")
    assert row.error and "shut down" in row.error.text


def _of_opus() -> str:
    return SLOW.replace("[tasks", "[citizens.opus.tasks")
