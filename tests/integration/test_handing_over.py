"""What runs after a monitor was closed, by a key, by its terminal or by a signal, and that it says so."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from scheduler.core.views import OWNER_GONE
from scheduler.storage.lock import owner_of
from tests.crash.loops import Place, command, gone
from tests.fakes import until
from tests.integration.terminal import Terminal, opened

TICK = command("tick", "date +%s.%N >> ticks", every="1s")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    place.tasks(TICK)
    yield place
    for process in psutil.process_iter():  # also one that still waits for a monitor
        with suppress(psutil.Error):
            if Path(process.cwd()) == place.home and "--successor-of" in process.cmdline():
                process.kill()
    if owner := owner_of(place.home):
        os.kill(owner.pid, signal.SIGKILL)


def owner(place: Place) -> int:
    found = owner_of(place.home)
    return found.pid if found else 0


def ticks(place: Place) -> int:
    return len(place.lines("ticks"))


async def monitor(terminal: Terminal, place: Place) -> int:
    """The pid of the monitor once it runs the citizen."""
    await until(lambda: terminal.read() or (owner(place) and ticks(place)), "the monitor runs it")
    assert owner(place) == terminal.process.pid
    return terminal.process.pid


async def goes_on(place: Place, before: int) -> int:
    """The pid of the loop that runs the citizen afterwards, and ran something."""
    await until(lambda: owner(place) not in (0, before), "another process runs it")
    seen = ticks(place)
    await until(lambda: ticks(place) > seen, "and it runs what is due")
    return owner(place)


def environment(place: Place) -> Any:
    return {name: value for name, value in place.environment().items() if name != "TERM"}


async def test_q_and_keep_go_on_in_the_background_and_no_slot_is_lost(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        before = await monitor(terminal, place)
        terminal.type("qb")
        assert await terminal.ended() == 0
        after = owner(place)
        assert after not in (0, before)
        said = f"opus goes on in the background (pid {after}); ./run.sh down stops it"
        assert said in terminal.text
        await goes_on(place, before)
        await until(lambda: place.count("tick") == ticks(place), "each run is counted, by one of the two")
    moments = [float(moment) for (moment,) in place.lines("ticks")]
    assert min(b - a for a, b in pairwise(moments)) > 0.5, "none ran twice"


async def test_q_and_stop_say_that_nothing_runs_now(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        await monitor(terminal, place)
        terminal.type("qq")
        assert await terminal.ended() == 0
        assert owner(place) == 0
        assert "stopped: opus; ./run.sh up runs it again" in terminal.text


async def test_a_closed_terminal_keeps_the_citizens_running(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        before = await monitor(terminal, place)
        terminal.close()
        await until(lambda: terminal.process.poll() is not None, "the monitor ended")
        after = await goes_on(place, before)
        await until(lambda: logged(place, before, after), "the log says what runs")


# A login shell of sshd, which hangs up on it: the monitor is a job of that shell.
SHELL = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'tui'])"


async def test_a_lost_connection_keeps_the_citizens_running(place):
    with opened("-c", SHELL, environment=environment(place)) as terminal:
        await until(lambda: terminal.read() or (owner(place) and ticks(place)), "the monitor runs it")
        before = owner(place)
        assert before != terminal.process.pid
        terminal.close()
        await until(lambda: terminal.process.poll() is not None, "the shell ended")
        after = await goes_on(place, before)
        await until(lambda: logged(place, before, after), "the log says what runs")


def logged(place: Place, before: int, after: int) -> bool:
    """The terminal is gone: the citizen's log says what runs."""
    said = (place.home / "logs" / "experience.log").read_text()
    on = f"opus goes on in the background, in process {after}\n" in said
    return on and f"opus taken over from process {before}\n" in said


async def test_the_settings_can_have_a_closed_terminal_stop_them(place):
    place.config.write_text(f'{place.config.read_text()}[monitor]\non_close = "stop"\n')
    with opened("-m", "tui", environment=environment(place)) as terminal:
        await monitor(terminal, place)
        terminal.close()
        await until(lambda: terminal.process.poll() is not None, "the monitor ended")
        assert owner(place) == 0


async def test_a_signal_stops_them_and_says_how_they_run_again(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        await monitor(terminal, place)
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert await terminal.ended() == 0
        assert owner(place) == 0
        assert "stopped: opus; ./run.sh up runs it again" in terminal.text


async def test_a_run_under_way_ends_before_its_citizen_is_passed_on(place):
    slow = command("slow", "echo start >> slow; until [ -e go ]; do sleep 0.05; done; echo end >> slow")
    place.tasks(TICK, slow)
    with opened("-m", "tui", environment=environment(place)) as terminal:
        before = await monitor(terminal, place)
        await until(lambda: place.lines("slow"), "a long run began")
        terminal.type("qb")
        said = re.compile("this process runs .*opus/slow")
        await until(lambda: said.search(terminal.text), "it says what it waits for")
        seen = ticks(place)
        await until(lambda: ticks(place) > seen + 1, "the schedule goes on meanwhile")
        assert owner(place) == before
        said = place.call("--stop").stdout
        assert said.startswith(f"opus: left alone: pid {before} is a monitor that was closed: it waits for ")
        assert said.endswith(f"opus/slow; kill {before} ends that at once\n"), "q ends nothing any more"
        (place.home / "go").touch()
        assert await terminal.ended() == 0
        await goes_on(place, before)
    assert place.lines("slow") == [["start"], ["end"]]
    assert place.entry("slow").get("running") is None
    assert place.count("slow") == 1


async def test_ctrl_c_while_it_waits_ends_the_run_which_is_due_again(place):
    slow = command("slow", "echo $$ >> slow; exec sleep 1000", timeout="1h")
    place.tasks(TICK, slow)
    with opened("-m", "tui", environment=environment(place)) as terminal:
        before = await monitor(terminal, place)
        await until(lambda: place.lines("slow"), "a long run began")
        terminal.type("qb")
        await until(lambda: "ctrl+c ends them at once" in terminal.text, "it says what it waits for")
        os.kill(before, signal.SIGINT)
        assert await terminal.ended() == 0
        await until(lambda: len(place.lines("slow")) == 2, "the loop runs it again")
        (first,), (second,) = place.lines("slow")
        assert gone(int(first))
        assert not gone(int(second))
        await goes_on(place, before)


async def test_what_no_loop_could_run_goes_on_in_the_monitors_process(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        before = await monitor(terminal, place)
        place.config.write_text(place.config.read_text() + "nonsense = 1\n")
        terminal.close()
        logs = place.home / "logs/experience.log"
        await until(lambda: "was not handed over" in logs.read_text(), "the log says why")
        seen = ticks(place)
        await until(lambda: ticks(place) > seen + 1, "it runs on")
        assert owner(place) == before
        place.config.write_text(re.sub("nonsense.*\n", "", place.config.read_text()))
        assert place.call("--stop").stdout == "opus: ended\n"
        await until(lambda: terminal.process.poll() is not None, "it can be stopped")


async def test_up_take_over_passes_a_monitors_citizens_on_and_leaves_it_open(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        before = await monitor(terminal, place)
        said = place.call("--all").stdout
        inside = f"opus: runs inside a monitor (pid {before}) and stops when that is closed"
        assert said == f"{inside}; ./run.sh up --take-over keeps it running\n"
        done = place.call("--all", "--take-over")
        after = owner(place)
        assert after not in (0, before)
        assert done.stdout == f"opus: runs already, pid {after}\n"
        await until(lambda: f"pid {after}" in terminal.text, "the monitor is attached")
        terminal.type("q")
        assert await terminal.ended() == 0
        assert f"opus goes on (pid {after})" in terminal.text
        await goes_on(place, before)


async def test_after_a_kill_of_the_monitor_nothing_runs_and_status_says_so(place):
    with opened("-m", "tui", environment=environment(place)) as terminal:
        await monitor(terminal, place)
        terminal.process.kill()
        terminal.process.wait(10)
        assert "no process runs opus: ./run.sh up opus" in place.call("--status").stderr
        assert owner(place) == 0


async def test_a_screen_beside_a_killed_owner_says_so_and_has_it_run_again_by_either_answer(place):
    with place.loop() as loop, opened("-m", "tui", environment=environment(place)) as terminal:
        await until(lambda: f"pid {loop.pid}" in terminal.text, "the monitor is attached")
        await killed(terminal, loop.pid)
        terminal.type("b")
        after = await goes_on(place, loop.pid)
        assert after != terminal.process.pid
        await until(lambda: f"pid {after}" in terminal.text, "the monitor is attached again")
        await killed(terminal, after)
        terminal.type("o")
        assert await goes_on(place, after) == terminal.process.pid


async def killed(terminal: Terminal, pid: int) -> None:
    """The owner is gone, and the monitor asks who runs its citizen now."""
    terminal.raw = b""
    os.kill(pid, signal.SIGKILL)
    await until(lambda: f"{OWNER_GONE}: process {pid} ended" in terminal.text, "it is said")
    terminal.type("O")
    await until(lambda: "start it in the background" in terminal.text, "it asks")
