"""Commands: what they are given, what comes of them, and what is said when they cannot even start."""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from scheduler.core.task import Command, Outcome
from scheduler.errors import TaskFailed
from scheduler.executors.child import BITE, Feeder, Reader, Subprocess
from scheduler.executors.executor import Executor
from scheduler.process import process_info as facts
from tests.each import each
from tests.fakes import until
from tests.watching import Watching, context, descriptors, gone, shell, task, under_way

DUMP = "import json, os, sys; print(json.dumps([os.getcwd(), sys.stdin.read(), dict(os.environ)]))"


@pytest.fixture
async def workers():
    workers = Executor()
    yield workers
    await workers.close()


@pytest.fixture
def run(workers, home):
    async def run(work, watching=None, **more):
        return await workers.run(task(work), context(home, **more), watching or Watching())

    return run


async def test_a_command_gets_its_home_its_input_and_the_secrets_of_its_citizen(run, home, monkeypatch):
    monkeypatch.setenv("CITIZEN", "somebody else")
    work = Command(
        (sys.executable, "-c", DUMP),
        {"MORE": "1", "TOKEN": "the task's", "CITIZEN": "mira"},
        b"go\nread\x00this",
    )
    watching = Watching()
    await run(work, watching, secrets={"API_KEY": "k$y", "TOKEN": "the citizen's"})
    folder, given, environment = json.loads(watching.output.text())
    assert (folder, given) == (str(home), "go\nread\x00this")
    wanted = {"CITIZEN": "opus", "EXPERIENCE_HOME": str(home), "EXPERIENCE_TASK": "chore", "PWD": str(home)}
    wanted |= {"MORE": "1", "API_KEY": "k$y", "TOKEN": "the task's", "PATH": os.environ["PATH"]}
    assert wanted.items() <= environment.items()
    assert environment["EXPERIENCE_RUN"]


async def test_a_command_may_have_a_folder_of_its_own_and_only_its_own_environment(run, tmp_path, home):
    work = Command((sys.executable, "-c", DUMP), {"PATH": "/bin"}, folder=tmp_path, inherit=False)
    watching = Watching()
    await run(work, watching, secrets={"API_KEY": "k$y"})
    folder, given, environment = json.loads(watching.output.text())
    environment.pop("LC_CTYPE", None)  # Python's own
    assert (folder, given) == (str(tmp_path), "")
    assert environment.pop("EXPERIENCE_RUN")
    ours = {"CITIZEN": "opus", "EXPERIENCE_HOME": str(home), "EXPERIENCE_TASK": "chore"}
    assert environment == {"PATH": "/bin", "PWD": str(tmp_path), **ours}


async def test_a_folder_that_is_not_there_is_said(run, tmp_path):
    with pytest.raises(TaskFailed, match="there is no folder"):
        await run(Command(("true",), folder=tmp_path / "nowhere"))


async def test_arguments_reach_the_program_as_they_are(run):
    odd = ("", "a b", "$HOME", "`id`", "'\"", "-n", "*", "é\udcff", "; echo gotcha", "a\nb")
    watching = Watching()
    await run(Command((sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *odd)), watching)
    assert watching.output.text() == ascii(list(odd)) + "\n"


@each(
    ("script", "outcome", "text", "urgent"),
    [
        ("echo one; echo two; echo; exit 0", Outcome.OK, "two", False),
        (":", Outcome.OK, "", False),
        ("echo URGENT: 3 new; echo two", Outcome.OK, "URGENT: 3 new", True),
        ("echo one; echo no such host >&2; exit 3", Outcome.FAILED, "exit 3: no such host", False),
        ("exit 7", Outcome.FAILED, "exit 7", False),
        ("echo URGENT; exit 7", Outcome.FAILED, "exit 7: URGENT", False),
        ("echo out; kill -SEGV $$", Outcome.FAILED, "killed by SIGSEGV: out", False),
        ("kill -KILL $$", Outcome.FAILED, "killed by SIGKILL", False),
        ("kill -40 $$", Outcome.FAILED, "killed by signal 40", False),
    ],
)
async def test_how_it_ended_is_the_result(run, script, outcome, text, urgent):
    result = await run(shell(script))
    assert (result.outcome, result.text, result.urgent) == (outcome, text, urgent)


@pytest.mark.parametrize("left", [0, 1])
async def test_a_start_for_whose_pipes_no_descriptor_is_left_leaves_nothing(run, monkeypatch, left):
    started, dup, before = list[subprocess.Popen[bytes]](), os.dup, descriptors()

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            started.append(self)

    def scarce(fd: int) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return dup(fd)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", Noted)
        patch.setattr(os, "dup", scarce)
        with pytest.raises(TaskFailed, match="could not start true: Too many open files"):
            await run(Command(("true",)))
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert descriptors() == before


async def test_what_cannot_be_started_is_said_clearly(run, home):
    (home / "plain").write_text("#!/bin/sh\n")
    (home / "folder").mkdir()
    for argv, words in [
        (("experience-no-such",), "no such program: experience-no-such; give its full path in command"),
        (("./nowhere",), "no such program: ./nowhere"),
        (("folder/",), "folder/ is a folder, not a program"),
        (("./plain",), "plain is not executable; chmod"),
        ((), "the command is empty"),
        (("",), "the command is empty"),
        (("echo", "a\0b"), "NUL"),
        (("echo", "x" * 3_000_000), "could not start echo: Argument list too long"),
    ]:
        with pytest.raises(TaskFailed, match=words):
            await run(Command(argv))
    with pytest.raises(TaskFailed, match="could not start true: illegal environment variable name"):
        await run(Command(("true",), {"A=B": "1"}))
    home.rename(home.with_name("moved"))
    with pytest.raises(TaskFailed, match="there is no folder"):
        await run(shell("true"))


async def test_programs_are_looked_up_from_the_home_and_with_the_task_s_own_path(run, home):
    (home / "bin").mkdir()
    for name, mode in [("mine", 0o700), ("not", 0o600)]:
        (home / "bin" / name).write_text("#!/bin/sh\necho $0\n")
        (home / "bin" / name).chmod(mode)
    path = {"PATH": f"bin:{os.environ['PATH']}"}
    assert (await run(Command(("bin/mine",)))).text == "bin/mine"
    assert (await run(Command(("mine",), path))).text.endswith("bin/mine")
    with pytest.raises(TaskFailed, match="not is not executable: "):
        await run(Command(("not",), path))


async def test_nothing_runs_before_it_is_written_down(workers, home):
    written, asked = asyncio.Event(), asyncio.Event()

    async def slowly(running):
        asked.set()
        await written.wait()

    watching = Watching(slowly)
    async with under_way(workers, shell("echo $$ > ran"), home, watching) as running:
        await asked.wait()
        before = watching.running
        assert before and facts.alive(before)
        for _ in range(20):  # of a start that takes a millisecond
            await asyncio.sleep(0.005)
        assert not (home / "ran").exists()
        written.set()
        await running
        assert (home / "ran").read_text().strip() == str(before.pid), "the pid outlives the gate"


async def test_one_that_could_not_be_written_down_never_runs(workers, home):
    async def full(running):
        raise OSError("disk full")

    watching = Watching(full)
    with pytest.raises(OSError, match="disk full"):
        await workers.run(task(shell("touch ran")), context(home), watching)
    assert watching.running and gone(watching.running.pid)
    assert not (home / "ran").exists()


async def test_at_most_so_many_start_at_a_time_and_the_loop_breathes_between(home):
    workers, waiting, most, starts = Executor(starts=3), 0, 0, []

    async def recorded(running):
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        starts.append(turns)
        await asyncio.sleep(0.01)
        waiting -= 1

    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    work = task(shell("true"))
    await asyncio.gather(*(workers.run(work, context(home), Watching(recorded)) for _ in range(12)))
    counting.cancel()
    assert most == 3
    assert len(set(starts)) == 12, "each start has a turn of the loop to itself"


async def test_input_that_is_not_read_holds_nothing_up(run):
    assert (await run(shell("exec <&-; echo done", input=b"x" * 10_000_000))).text == "done"
    assert (await run(shell("head -c 3; echo", input=b"abc" * 1_000_000))).text == "abc"
    assert (await run(shell("wc -c", input=b"x" * 10_000_000))).text.strip() == "10000000"


async def test_writing_never_blocks_the_loop():
    read, write = os.pipe()
    rescue = threading.Timer(2.0, os.close, [read])  # ends a write that waits for room for all of it
    rescue.start()
    feeder = Feeder(write)
    feeder.feed(b"x" * 1_000_000)
    for _ in range(5):
        await asyncio.sleep(0.01)
        os.read(read, 8192)  # some room, not enough for a whole bite
    rescue.cancel()
    feeder.close()
    os.close(read)


async def test_a_background_process_is_heard_for_a_moment(run):
    assert (await run(shell("(sleep 0.2; echo late) & echo early"))).text == "late"


async def test_a_background_process_that_holds_the_pipe_is_left_alone_and_not_waited_for(run):
    watching = Watching()
    began = time.monotonic()
    result = await run(shell("sleep 60 & echo $!"), watching)
    assert result.outcome is Outcome.OK
    assert time.monotonic() - began < 4
    pid = int(result.text)
    assert not gone(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_background_process_may_go_on_talking_after_its_run(run, home):
    await run(shell("(sleep 1.3; echo one; sleep 0.1; echo two; touch spoken) > /dev/stdout 2>&1 &"))
    assert not (home / "spoken").exists()
    await until(lambda: (home / "spoken").exists(), "it was not ended by its own words")


async def test_a_background_process_that_never_stops_talking_is_not_listened_to_for_ever(run, home):
    pid = int((await run(shell("(sleep 1.2; yes) & echo $!"))).text)
    await until(lambda: gone(pid), "its reader is gone")


async def test_only_so_many_are_listened_to(workers, home, monkeypatch):
    monkeypatch.setattr("scheduler.executors.subprocesses.HELD", 1)
    before = descriptors()
    pids = []
    for _ in range(2):
        result = await workers.run(task(shell("sleep 30 & echo $!")), context(home), Watching())
        pids.append(int(result.text))
    assert descriptors() == before + 1
    await workers.close()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


async def test_one_line_of_100_mb_and_200_mb_of_lines_cost_no_memory(run):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, the most there ever was
    for script in ("head -c 100000000 /dev/zero | tr '\\0' x; echo", "yes line | head -c 200000000"):
        watching = Watching()
        await run(shell(script), watching)
        assert watching.output.size >= 100_000_000
        assert "bytes left out" in watching.output.text()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024


async def test_a_flood_is_read_one_bite_per_turn_of_the_loop():
    turns, bites, bites_per_turn = 0, 0, []
    read, write = os.pipe()

    def sink(data):
        nonlocal bites
        bites += 1
        assert len(data) <= BITE
        bites_per_turn.append(turns)

    def turn():
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    loop = asyncio.get_running_loop()
    loop.call_soon(turn)
    with contextlib.suppress(OSError):  # a larger pipe, where the system lets us have one
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 16 * BITE)
    writer = threading.Thread(target=lambda: (os.write(write, b"x" * 50 * BITE), os.close(write)))
    writer.start()
    reader = Reader(read, sink)
    await asyncio.wait([reader.ended], timeout=8)
    writer.join()
    assert reader.ended.done() and len(set(bites_per_turn)) == bites >= 50


def children() -> set[int]:
    """Zombies, too; a subreaper may have been given some by tests before."""
    return {child.pid for child in psutil.Process().children()}


async def test_300_runs_leave_no_descriptor_no_zombie_and_no_thread(run):
    await run(shell("true"))
    before, threads, others = descriptors(), threading.active_count(), children()
    for _ in range(60):
        watching = [Watching() for _ in range(5)]
        await asyncio.gather(*(run(Command(("true",)), each) for each in watching))
        assert children() <= others
    assert descriptors() == before
    assert threading.active_count() == threads


async def test_waiting_takes_no_thread_per_child(workers, home):
    before = threading.active_count()
    async with under_way(workers, shell("echo up; sleep 60"), home, watching := Watching()):
        await until(lambda: watching.said("up"), "it runs")
        assert threading.active_count() == before


async def test_without_pidfd_it_works_all_the_same(run, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    assert (await run(shell("echo done; exit 3"))).text == "exit 3: done"
    assert (await run(shell("kill -9 $$"))).text == "killed by SIGKILL"


def test_the_loop_may_run_on_any_thread(home):
    results = []

    def main():
        results.append(asyncio.run(Executor().run(task(shell("echo done")), context(home), Watching())))

    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    assert results[0].text == "done"


async def test_an_exit_code_that_somebody_else_took_is_not_a_success(run, monkeypatch):
    def reap(child):
        os.waitid(os.P_PID, child.running.pid, os.WEXITED)  # as a handler that waits for any child does
        reaped(child)

    reaped = Subprocess._reap
    monkeypatch.setattr(Subprocess, "_reap", reap)
    result = await run(shell("echo done"))
    assert result.outcome is Outcome.FAILED
    assert result.text == "exit code unknown, something else in this process took it: done"


async def test_a_program_without_a_first_line_is_run_by_the_shell_as_cron_would(run, home):
    (home / "script").write_text("echo by the shell\n")
    (home / "script").chmod(0o700)
    assert (await run(Command(("./script",)))).text == "by the shell"
