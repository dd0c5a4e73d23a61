"""What the starter decided about signals holds: `nohup`, `&` in a script, `trap ''`."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.loops import Place, command
from tests.crash.test_signals import on_terminal
from tests.fakes import until
from tests.integration.terminal import opened

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(60),
]

TICK = command("tick", "true", every="0.1s")
FACTS = command("facts", "grep SigIgn /proc/$$/status >> runs.log; echo done >> runs.log")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.end()


def ignoring(*numbers: signal.Signals, then: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """How the starter ignores these signals for what it starts."""

    def prepare() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        then()

    return {"preexec_fn": prepare}


async def goes_on(place: Place) -> None:
    before = place.count("tick")
    await until(lambda: place.count("tick") > before + 2, "it goes on")


async def test_a_loop_started_with_nohup_goes_on_when_the_terminal_is_closed(place: Place) -> None:
    """Sources: microsoft/terminal 17999, fish 4007, tinode/chat 25: a handler over an inherited "ignore"."""
    place.tasks(TICK)
    master, slave = pty.openpty()
    over = ignoring(signal.SIGHUP, then=lambda: on_terminal(slave))
    with place.loop(stdin=slave, start_new_session=False, **over) as loop:
        os.close(slave)
        await until(lambda: place.count("tick"), "it runs")
        os.close(master)
        loop.send_signal(signal.SIGHUP)  # as a shell does that ends
        await goes_on(place)
        loop.terminate()
        await until(lambda: loop.poll() is not None, "a signal that is not ignored ends it")
        assert loop.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
async def test_ctrl_c_in_the_shell_does_not_reach_what_a_script_started_behind_itself(
    place: Place, number: signal.Signals
) -> None:
    """Source: POSIX, asynchronous lists: SIGINT and SIGQUIT are ignored; oq-engine 4027."""
    place.tasks(TICK)
    with place.loop(**ignoring(signal.SIGINT, signal.SIGQUIT)) as loop:
        await until(lambda: place.count("tick"), "it runs")
        loop.send_signal(number)
        await goes_on(place)
        assert loop.poll() is None


async def test_a_loop_that_ignores_sigterm_on_its_starters_wish_ends_by_stop(place: Place) -> None:
    place.tasks(TICK)
    with place.loop(**ignoring(signal.SIGTERM)) as loop:
        await until(lambda: place.count("tick"), "it runs")
        loop.terminate()
        await goes_on(place)
        ended = asyncio.create_task(asyncio.to_thread(place.call, "--stop"))
        await until(lambda: loop.poll() is not None, "--stop ends it")
        assert (await ended).returncode == 0 and loop.returncode == 0


async def test_commands_ignore_what_the_starter_ignored_and_nothing_else(place: Place) -> None:
    """Source: POSIX, exec: an ignored signal stays ignored; what this program handles is the default."""
    place.tasks(FACTS)
    with place.loop(**ignoring(signal.SIGHUP)):
        await until(lambda: ["done"] in place.lines(), "the command has looked")
    assert int(place.lines()[0][1], 16) == 1 << (signal.SIGHUP - 1)


SETTINGS = """
root = "{root}"
[citizens.opus.wake]
every = "10h"
[citizens.opus.tasks.tick]
every = "0.3s"
command = ["sh", "-c", "echo ran >> ran"]
"""


async def test_a_monitor_that_ignores_hangups_goes_on_without_its_terminal(tmp_path: Path) -> None:
    """Source: mir 1734: a closed terminal does not end what ignores it."""
    home = tmp_path / "root" / "opus"
    home.mkdir(parents=True)
    (tmp_path / "experience.toml").write_text(SETTINGS.format(root=tmp_path / "root"))
    environment = {"EXPERIENCE_CONFIG": str(tmp_path / "experience.toml"), "HOME": str(tmp_path)}
    start = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from tui.__main__ import main; main()"
    )
    with opened("-c", start, environment=environment) as terminal:
        await until(lambda: "tick" in terminal.text, "the fleet is on screen")
        terminal.close()
        ran = (home / "ran").stat().st_size
        await until(lambda: (home / "ran").stat().st_size > ran + 20, "its tasks go on")
        assert terminal.process.poll() is None
