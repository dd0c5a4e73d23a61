"""Commands, their processes and their time limits, as people met them."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Command, Outcome, Task
from scheduler.core.views import TaskView
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import AlreadyRunning
from scheduler.executors import subprocesses
from scheduler.executors.executor import Executor
from scheduler.executors.process_tree import ProcessEntry
from scheduler.process.process_info import BOOT, born, name, pids, stat
from scheduler.storage.state_store import DiskStore
from tests.crash.loops import ROOT, Place, command
from tests.each import each
from tests.fakes import FakeClock, settle, until
from tests.watching import Watching, context, gone, shell

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(60),
]

SHELLS = [found for name in ("dash", "bash", "busybox", "ksh") if (found := which(name))]


def limited(work: Any, **more: Any) -> Task:
    """A task with a time limit of five seconds."""
    return Task("work", Every(3600), work, timeout=5, **more)


def row(scheduler: Scheduler) -> TaskView:
    return scheduler.snapshot().tasks[0]


# ------------------------------------------------------------------ a result beats a deadline looked at later


async def begun(home: Path, clock: FakeClock) -> int:
    """The pid of the command, once it runs."""
    await clock.advance()
    pid = home / "pid"
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the command runs")
    return int(pid.read_text())


def exit_unseen(pid: int, go: Path) -> None:
    """Let the command end, and wait for that without giving the loop a turn."""
    go.touch()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


WAITS = "echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; "


@each(("script", "outcome"), [("exit 0", Outcome.OK), ("exit 3", Outcome.FAILED)])
async def test_a_command_that_ended_while_the_scheduler_was_stopped_is_not_timed_out(
    build: Any, clock: FakeClock, home: Path, script: str, outcome: Outcome
) -> None:
    """A scheduler that was stopped, or frozen with its cgroup or machine, sees both exit and deadline."""
    scheduler = await build(limited(shell(WAITS + script)))
    exit_unseen(await begun(home, clock), home / "go")
    clock.stall(8)
    await until(lambda: row(scheduler).run_count == 1, "it has ended")
    assert row(scheduler).outcome is outcome


async def test_a_coroutine_that_waited_while_another_blocked_the_loop_is_not_timed_out(
    build: Any, clock: FakeClock
) -> None:
    """One coroutine of the citizen blocks the loop for longer than the limit of another."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(citizen: str) -> str:
        return await answered

    scheduler = await build(limited(Call(handler)))
    await clock.advance()
    answered.set_result("hello")
    clock.stall(8)
    await settle()
    assert row(scheduler).outcome is Outcome.OK


async def test_a_thread_that_returned_while_the_loop_was_blocked_is_not_timed_out(
    build: Any, clock: FakeClock
) -> None:
    began, go, threads = threading.Event(), threading.Event(), []

    def handler(citizen: str) -> str:
        threads.append(threading.current_thread())
        began.set()
        go.wait(20)
        return "done"

    scheduler = await build(limited(Call(handler)))
    await clock.advance()
    await until(began.is_set, "it runs")
    go.set()
    threads[0].join()
    clock.stall(8)
    await settle()
    assert row(scheduler).outcome is Outcome.OK


async def test_a_command_that_left_a_background_process_is_not_timed_out_while_its_pipe_is_read(
    build: Any, clock: FakeClock, home: Path
) -> None:
    """The exit code was there; only the pipe, held by the process in the background, was still open."""
    script = "sleep 30 & echo $! > left; echo $$ > pid; exit 0"
    scheduler = await build(limited(shell(script)))
    leader = await begun(home, clock)
    pid = int((home / "left").read_text())
    try:
        await until(lambda: stat(leader) is None, "it has exited, and that was seen")
        clock.stall(8)
        await until(lambda: row(scheduler).run_count == 1, "it has ended")
        assert row(scheduler).outcome is Outcome.OK
        os.kill(pid, 0)  # as after any run: what it left behind itself goes on
    finally:
        os.kill(pid, 9)


async def test_a_command_that_has_not_ended_is_timed_out_however_late_the_look_is(
    build: Any, clock: FakeClock, home: Path
) -> None:
    scheduler = await build(limited(shell(WAITS)))
    await begun(home, clock)
    clock.stall(8)
    await until(lambda: row(scheduler).run_count == 1, "it has ended")
    assert row(scheduler).outcome is Outcome.TIMED_OUT


# ------------------------------------------------------------------ what reaches a command


async def environment_of(home: Path, **more: Any) -> dict[bytes, bytes]:
    """What a command finds in its environment."""
    watching = Watching()
    work = Command(("env", "-0"), **more)
    await Executor().run(Task("work", Every(60), work), context(home), watching)
    entries = watching.output.text().encode("utf-8", "surrogateescape").split(b"\0")
    return dict(entry.split(b"=", 1) for entry in entries if entry)


ODD = {
    "my.name": "1",
    "a-b": "2",
    "BASH_FUNC_f%%": "() {  :\n}",
    "1st": "3",
    "two words": "4",
    "": "5",
    "ünï": "ö",
    "IFS": ",",
    "OPTIND": "7",
    "PPID": "8",
    "PS4": "9",
}


@each("shell_there", SHELLS)
async def test_every_name_of_the_environment_reaches_the_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell_there: str
) -> None:
    """Source: POSIX, environment variables: a shell may drop a name that is no identifier; dash does."""
    monkeypatch.setattr("scheduler.process.start_gate._SHELL", Path(shell_there))
    found = await environment_of(home, environment=ODD, inherit=False)
    assert {name.encode(): value.encode() for name, value in ODD.items()}.items() <= found.items()
    assert found[b"PWD"] == str(home).encode()


@each("shell_there", SHELLS)
@each("more", [{}, {"my.name": "1"}])
async def test_the_shells_own_variables_are_those_of_the_starter(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell_there: str, more: dict[str, str]
) -> None:
    """A gate of one shell or another, or none, changes nothing: SHLVL, OLDPWD, LC_CTYPE."""
    monkeypatch.setattr("scheduler.process.start_gate._SHELL", Path(shell_there))
    given = {"SHLVL": "7", "OLDPWD": "/", "PATH": os.environ["PATH"], **more}
    found = await environment_of(home, environment=given, inherit=False)
    ours = {"CITIZEN", "EXPERIENCE_HOME", "EXPERIENCE_TASK", "EXPERIENCE_RUN", "PWD"}
    assert {
        name.decode(): value.decode() for name, value in found.items() if name.decode() not in ours
    } == given


@each("name", ["ok", "my.name"])
async def test_a_command_that_waits_at_either_gate_reads_its_input_from_the_first_byte(
    home: Path, name: str
) -> None:
    watching = Watching()
    work = Command(("sh", "-c", "cat; exit 3"), {name: "x"}, b"go\nfirst line\n")
    result = await Executor().run(Task("work", Every(60), work), context(home), watching)
    assert watching.output.text() == "go\nfirst line\n" and result.text == "exit 3: first line"


async def test_a_script_without_an_interpreter_runs_at_either_gate(home: Path) -> None:
    script = home / "script"
    script.write_text('echo "$1"\n')
    script.chmod(0o755)
    for variable in ("ok", "my.name"):
        watching = Watching()
        work = Command((str(script), "a b"), {variable: "x"})
        result = await Executor().run(Task("work", Every(60), work), context(home), watching)
        assert (result.outcome, result.text) == (Outcome.OK, "a b")


FACTS = (
    "echo $(ulimit -Sn) $(cat /proc/self/timerslack_ns) ${PYTHONUNBUFFERED-none} ${LC_CTYPE-none} >> runs.log"
)


@each("environment", ['"ok" = "1"', '"my.name" = "1"'])
async def test_what_the_scheduler_does_to_itself_does_not_reach_its_commands(
    tmp_path: Path, environment: str
) -> None:
    """Sources: containerd 7566, lxd 3860, dlang/phobos 10548: a raised limit of open files is put back."""
    place = Place(tmp_path)
    place.tasks(f"{command('facts', FACTS)}\nenvironment = {{ {environment} }}")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    without = ("LC_", "LANG", "PYTHONUNBUFFERED")
    starter = {key: value for key, value in place.environment().items() if not key.startswith(without)}
    with place.loop(env=starter, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (777, most))):
        await until(place.lines, "the command has looked")
    assert place.lines()[0] == ["777", "50000", "none", "none"]


@pytest.fixture
def latin_1(tmp_path: Path) -> dict[str, str]:
    """The environment of a locale whose letters are single bytes."""
    name, made = "de_DE.ISO-8859-1", tmp_path / "locales"
    made.mkdir()
    compiler = which("localedef")
    argv = [compiler, "--no-warnings=ascii", "-i", "de_DE", "-f", "ISO-8859-1", str(made / name)]
    if not compiler or subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("no such locale can be made here")
    return {"LOCPATH": str(made), "LC_ALL": name}


async def test_a_latin_1_locale_starts_a_command_with_the_letters_of_the_settings(
    tmp_path: Path, latin_1: dict[str, str]
) -> None:
    """Source: PEP 540 spares only the C and POSIX locales."""
    place = Place(tmp_path)
    folder = tmp_path / "Ordner €"
    folder.mkdir()
    script = 'printf "%s\\\\n" "ü €" "$WORT" "$PWD" >> "$EXPERIENCE_HOME/runs.log"'
    more = f'environment = {{ WORT = "süß →" }}\nworking_folder = "{folder}"\n'
    place.tasks(f"facts\nevery = '1h'\ncommand = ['sh', '-c', '''{script}''']\n{more}")
    with place.loop(env={**place.environment(), **latin_1}):
        await until(lambda: place.entry("facts").get("outcome"), "the command has run")
    assert place.entry("facts")["outcome"] == "ok", place.log.read_text()
    assert (place.home / "runs.log").read_bytes().decode().splitlines() == ["ü €", "süß →", str(folder)]


async def test_a_latin_1_locale_starts_a_program_whose_name_has_other_letters(
    tmp_path: Path, latin_1: dict[str, str]
) -> None:
    place = Place(tmp_path)
    program = place.home / "naïve→"
    program.write_text("#!/bin/sh\necho done > runs.log\n")
    program.chmod(0o755)
    place.tasks('facts\nevery = "1h"\ncommand = ["./naïve→"]')
    with place.loop(env={**place.environment(), **latin_1}):
        await until(lambda: place.entry("facts").get("outcome"), "the command has run")
    assert place.entry("facts")["outcome"] == "ok", place.log.read_text()


async def test_an_alert_command_gets_what_a_task_gets(tmp_path: Path, latin_1: dict[str, str]) -> None:
    """Its limits and its letters, too."""
    place = Place(tmp_path)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    alert = ["sh", "-c", "cat >/dev/null; sleep 0.3; echo 'ü €' $(ulimit -Sn) >> runs.log"]
    place.tasks(command("fails", "exit 1"), more=f"[alerts]\nafter = 1\ncommand = {json.dumps(alert)}\n")
    started = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (777, most))}
    with place.loop(env={**place.environment(), **latin_1}, **started):
        await until(place.lines, "the alert has come")
    assert place.lines() == [["ü", "€", "777"]]


# ------------------------------------------------------------------ whatever a run started ends with it


# Each writes the pid of what it starts to runs.log; that shows none of the usual signs: parent, session,
# group, environment, output.
NOTED = "sh -c 'echo pid $$ >> runs.log; exec sleep 600' >/dev/null 2>&1"
DEAF = NOTED.replace("echo", "trap : TERM; echo").replace("exec sleep 600", "while :; do sleep 1; done")
ESCAPES = {
    "forked twice": f"(exec env -i setsid {NOTED} &); sleep 600",
    "a daemon of a daemon": f'(setsid sh -c "env -i setsid {NOTED} &" &); sleep 600'.replace("$$", "\\$\\$"),
    "deaf": f"(exec env -i setsid {DEAF} &); sleep 600",
}
if os.geteuid() == 0 and which("setpriv"):
    ESCAPES["another user"] = f"setpriv --reuid 65534 --clear-groups env -i setsid {NOTED} & wait"
    ESCAPES["another user, forked twice"] = (
        f"(setpriv --reuid 65534 --clear-groups env -i setsid {NOTED} &); sleep 600"
    )
    ESCAPES["su"] = (
        "su - nobody -s /bin/sh -c 'sleep 3434 & echo pid $!; sleep 3435 & echo pid $!; wait' >> runs.log"
    )


def left_alive(place: Place) -> list[str]:
    return [name(int(pid)) for word, pid in place.lines() if word == "pid" and not gone(int(pid))]


@each("escape", ESCAPES)
async def test_a_time_limit_reaches_what_changed_its_session_user_and_environment(
    tmp_path: Path, escape: str
) -> None:
    """Sources: NousResearch/hermes-agent 71148, dcellison/kai 132, MagnaCapax/PMSS 737, gptme 3805."""
    place = Place(tmp_path)
    place.home.chmod(0o777)
    (place.home / "runs.log").touch()
    (place.home / "runs.log").chmod(0o666)
    place.tasks(command("escape", ESCAPES[escape], timeout="2s"))
    with place.loop():
        try:
            await until(lambda: place.count("escape"), "it is timed out")
            assert place.lines() and left_alive(place) == []
            assert place.states()["errors"]["escape"]["error"] == "timed out after 2s"
        finally:
            place.end(*(int(pid) for word, pid in place.lines() if word == "pid"))


async def test_a_shutdown_reaches_them_too(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.tasks(command("escape", ESCAPES["forked twice"]), more='grace = "0.1s"\n')
    with place.loop() as loop:
        await until(place.lines, "it runs")
        loop.terminate()
        await until(lambda: loop.poll() is not None, "the loop ends")
    assert left_alive(place) == []


@pytest.fixture
def immortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Pids that no signal reaches, as those of another user do not; killed afterwards."""
    pids: list[int] = []
    send = ProcessEntry.send
    monkeypatch.setattr(subprocesses, "KILLING", 0.2)
    monkeypatch.setattr(ProcessEntry, "send", lambda one, number: one.pid in pids or send(one, number))
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


LEFT = "setsid sleep 600 & echo $! > left; echo $$ > pid; wait"


async def test_what_outlives_a_time_limit_is_named_and_nothing_starts_beside_it(
    build: Any, clock: FakeClock, home: Path, immortal: list[int]
) -> None:
    """Source: gptme 3805: the row said "timed out", and the next run met the work of the one before."""
    scheduler = await build(limited(shell(LEFT)), store=DiskStore(home, clock))
    await begun(home, clock)
    left = int((home / "left").read_text())
    immortal.append(left)
    clock.stall(5)
    await until(lambda: row(scheduler).run_count == 1, "it is timed out", seconds=50)
    assert row(scheduler).error.text == f"timed out after 5s; still running: process {left} (sleep)"
    assert row(scheduler).note == f"waits for process {left} (sleep)"
    await clock.advance(hours=3)
    with pytest.raises(AlreadyRunning):
        await scheduler.force("work")
    await scheduler.run_due_once(0)
    assert row(scheduler).run_count == 1 and row(scheduler).running_since is None
    states, _ = await asyncio.to_thread(DiskStore(home, clock).load)
    assert states["work"].orphan.pid == left, "the next owner waits for it, too"
    os.kill(left, signal.SIGKILL)
    await until(lambda: gone(left), "it ends at last")
    (home / "pid").unlink()
    await clock.advance(2)
    await begun(home, clock)


# ------------------------------------------------------------------ what the system gives to it is collected


ORPHANS = "(sleep 0.2 &); (sh -c 'sleep 0.1 & exec true' &); (setsid sleep 0.1 &); (setsid true &); exit 0"
ALONE = ("unshare", "-pf", "--kill-child", "--mount-proc")


def children(parent: int) -> dict[int, str]:
    """The children of a process, each with its state."""
    found = {pid: stat(pid) for pid in pids()}
    return {pid: each.state for pid, each in found.items() if each and each.parent == parent}


def zombies(parent: int) -> set[int]:
    return {pid for pid, state in children(parent).items() if state == "Z"}


@pytest.mark.skipif(os.geteuid() != 0 or not which("unshare"), reason="makes a process the first of its own")
async def test_as_the_first_process_of_a_container_it_leaves_no_zombies(tmp_path: Path) -> None:
    """Sources: aptible/supercronic 88 and 171, webdevops/go-crond 50, nextcloud/docker 1512."""
    place = Place(tmp_path)
    place.tasks(*(command(f"orphans{n}", ORPHANS, every="0.3s") for n in range(3)))
    with place.loop(before=ALONE) as outer:
        await until(lambda: place.count("orphans1") > 5, "it runs")
        loop = next(iter(children(outer.pid)))
        assert name(loop).startswith("python")
        for _ in range(3):
            ended = zombies(loop)
            await until(lambda ended=ended: not ended & zombies(loop), "what has ended is collected")
            before = place.count("orphans1")
            await until(lambda before=before: place.count("orphans1") > before + 3, "it runs on")
        assert place.entry("orphans1")["outcome"] == "ok"


HANDLER = """
import asyncio, os, subprocess
from pathlib import Path
from scheduler.core.task import Call
from scheduler.executors.executor import Executor
from scheduler.process.adopted import become_reaper
from tests.watching import Watching, context, task

async def handler(ctx):
    own = subprocess.Popen(["sh", "-c", "exit 3"])
    alone = subprocess.Popen(["sh", "-c", "exit 4"], start_new_session=True)
    forked = os.fork()
    if not forked:
        os._exit(5)
    left = subprocess.run(["sh", "-c", "sleep 0.1 >/dev/null & echo $!"], capture_output=True).stdout
    other = await asyncio.create_subprocess_exec("sh", "-c", "exit 6")
    codes = [await other.wait(), os.waitstatus_to_exitcode(os.system("exit 7"))]
    await asyncio.sleep(1)  # ten looks
    codes += [own.poll(), alone.poll(), os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])]
    return f"{codes} {left.decode()}"

async def main():
    become_reaper()
    workers = Executor()
    workers.begin()
    result = await workers.run(task(Call(handler)), context(Path.cwd()), Watching())
    words, _, orphan = result.text.rpartition(" ")
    while Path(f"/proc/{orphan}").exists():
        await asyncio.sleep(0.05)
    await workers.close()
    print(words)

asyncio.run(main())
"""


async def test_the_exit_codes_of_a_handlers_own_processes_are_left_to_it(tmp_path: Path) -> None:
    """`Popen.poll` says 0 for a child that was collected elsewhere: a failure would be a success."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", HANDLER], cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert (done.stdout, done.stderr) == ("[6, 7, 3, 4, 5]\n", "")


async def test_a_command_does_not_adopt_in_its_turn(tmp_path: Path) -> None:
    place = Place(tmp_path)
    look = "import ctypes; v = ctypes.c_int(7); ctypes.CDLL(None).prctl(37, ctypes.byref(v)); print(v.value)"
    place.tasks(f"facts\nevery = '1h'\ncommand = [{json.dumps(sys.executable)}, '-c', '{look}']")
    with place.loop():
        await until(lambda: place.entry("facts").get("outcome"), "it has looked")
    assert place.entry("facts")["text"] == "0"


@each(("boot", "runs"), [("an earlier one", True), (BOOT, False), (None, False)])
async def test_a_process_of_an_earlier_boot_is_not_waited_for(
    build: Any, clock: FakeClock, home: Path, boot: str | None, runs: bool
) -> None:
    """Pids and start times begin again: a daemon of this boot has the number of a run of the last one."""
    other = {"pid": os.getpid(), "born": born(os.getpid()), "since": clock.now() - 7200}
    running = other if boot is None else {**other, "boot": boot}
    state = {"last_run": {"work": clock.now() - 7200}, "tasks": {"work": {"running": running}}}
    (home / "background_tasks.json").write_text(json.dumps(state))
    scheduler = await build(limited(shell(WAITS)), store=DiskStore(home, clock))
    await clock.advance()
    assert (row(scheduler).running_since is not None) is runs


async def test_the_state_says_in_which_boot_a_run_began(build: Any, clock: FakeClock, home: Path) -> None:
    await build(limited(shell(WAITS)), store=DiskStore(home, clock))
    await begun(home, clock)
    state = json.loads((home / "background_tasks.json").read_text())
    assert state["tasks"]["work"]["running"]["boot"] == BOOT
