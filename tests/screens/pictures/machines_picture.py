"""Draws `screenshots/machines.svg` from a real run: three owners and a worker on one PostgreSQL, m2 silent.

python -m tests.screens.pictures.machines_picture
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scheduler.control.threaded import FleetThread
from scheduler.core.ports import FleetOptions
from tests.cluster.machines import Machine
from tests.cluster.postgres import postgres
from tests.screens.pictures.screenshots import FOLDER
from tui.app import ExperienceApp

SIZE = (120, 40)
WITHIN = 60.0  # seconds for whatever is waited for
PLACES = {"aria": "m1", "luna": "m1", "mira": "m2", "nova": "m2", "opus": "m3", "vega": "m3"}
TASKS = {
    "aria": 'greet = "20s"',
    "luna": 'tides = "45s"',
    "mira": 'report = "30s"',
    "nova": 'scan = "25s"',
    "opus": 'render = "15s"',
    "vega": 'index = "40s"',
}


def settings() -> str:
    """Six citizens; nova may move, the renders of opus run on a worker."""
    lines = ['failover = "6s"']
    for citizen, machine in PLACES.items():
        machines = [machine, "m3"] if citizen == "nova" else [machine]
        lines += [f"[citizens.{citizen}]", f"machines = {machines}"]
        name, every = TASKS[citizen].split(" = ")
        lines += [f"[citizens.{citizen}.tasks.{name}]", f"every = {every}", 'command = ["sleep", "4"]']
        lines += ['queue = "gpu"'] if citizen == "opus" else []
        lines += [f"[citizens.{citizen}.tasks.heartbeat]", "enabled = false"]  # the load of this machine
    return "\n".join(lines) + "\n"


@contextmanager
def machines(folder: Path) -> Iterator[dict[str, Machine]]:
    """All of them at work."""
    with postgres() as server:
        made = {
            name: Machine(name, folder / name, server.port, settings()) for name in ("m1", "m2", "m3", "g1")
        }
        made["g1"].arguments = ("worker", "--queue", "gpu")
        try:
            _begin(made)
            yield made
        finally:
            for machine in made.values():
                machine.close(gently=False)


def _begin(made: dict[str, Machine]) -> None:
    for machine in made.values():
        machine.prepare()
        for citizen in PLACES:
            machine.home(citizen).mkdir()
    first = made["m1"]
    for command in (("engine", "setup"), ("engine", "join", *PLACES)):
        answer = first.run(*command)
        assert answer.returncode == 0, answer.stderr
    for machine in made.values():
        if machine is not first:
            first.share_homes(machine, *PLACES)
    for machine in made.values():
        machine.start()
        while machine.name == "m2" and "nova/" not in machine.said():  # else m3 might be the first to run it
            time.sleep(0.1)


async def picture(folder: Path, made: dict[str, Machine]) -> str:
    """What a monitor shows that owns nothing: m2 has been frozen for a while."""
    options = FleetOptions(config=made["m1"].config, own=False, create=False, strict=False)
    fleet = FleetThread(options, lambda name, home, masks: None)
    app = ExperienceApp(fleet)
    async with app.run_test(size=SIZE) as pilot:

        async def until(seen: Callable[[str], bool]) -> None:
            end = time.monotonic() + WITHIN
            while not seen(text := _text(app)):
                assert time.monotonic() < end, text
                await pilot.pause(0.2)

        await until(lambda text: all(f"{machine} " in text for machine in ("m1", "m2", "m3")))
        await until(lambda text: text.count("wake #1") == len(PLACES))  # all has run once
        made["m2"].freeze()
        await until(lambda text: "silent" in text and "moved" in text)
        await pilot.pause(3.0)
        return app.export_screenshot()


def _text(app: ExperienceApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def main() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    with TemporaryDirectory(prefix="machines-") as folder, machines(Path(folder)) as made:
        drawn = asyncio.run(picture(Path(folder), made))
    (FOLDER / "machines.svg").write_text(drawn)


if __name__ == "__main__":
    main()
