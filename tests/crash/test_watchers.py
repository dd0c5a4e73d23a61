"""An owner dies while screens watch it: all of them say so, and find the next one by themselves."""

import contextlib
import sys

import pytest

from scheduler.core.views import OWNER_GONE
from tests.crash.loops import Place, command
from tests.fakes import until
from tests.integration.terminal import Terminal, opened

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(60),
]

SCREENS = 5
LOG = "echo start $$ >> runs.log; sleep 0.1; echo end $$ >> runs.log"


async def all_show(screens: list[Terminal], text: str) -> None:
    await until(lambda: all(text in screen.text for screen in screens), f"all show {text!r}", 30)


async def test_five_screens_say_that_their_owner_was_killed_and_are_live_again_after_a_restart(tmp_path):
    place = Place(tmp_path)
    place.tasks(command("tick", LOG, every="0.2s"))
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(place.loop())
        await until(lambda: place.count("tick"), "it runs")
        screens = [
            stack.enter_context(opened("-m", "tui", "--attach", environment=place.environment()))
            for _ in range(SCREENS)
        ]
        await all_show(screens, f"attached, pid {first.pid}")
        first.kill()
        await all_show(screens, f"{OWNER_GONE}: process {first.pid} ended")
        first.wait(10)
        second = stack.enter_context(place.loop())
        await all_show(screens, f"attached, pid {second.pid}")
        before = place.count("tick")
        await until(lambda: place.count("tick") > before + 3, "its tasks run")
        second.terminate()
        second.wait(20)
    nothing_doubled_or_lost(place)


def nothing_doubled_or_lost(place: Place) -> None:
    """The tasks' own log: one at a time, also beside what the killed owner left; each run is counted."""
    running, starts = "", 0
    for verb, pid in place.lines():
        assert (verb, running) in [("start", ""), ("end", pid)], place.lines()
        running, starts = (pid, starts + 1) if verb == "start" else ("", starts)
    assert place.entry("tick")["running"] is None
    assert starts <= place.count("tick") <= starts + 1  # a kill may leave a record of a run that never was
