"""A process inside a run that asks for something is recorded as that run, whatever it changes or says."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from scheduler.control.wire.asker import Asker, outside
from scheduler.errors import SchedulerError
from scheduler.process.who import UNKNOWN_RUN, Who, user_name
from scheduler.system.unix_socket import Peer, owners_among, socket_path
from tests.crash.loops import ROOT, Place
from tests.each import each
from tests.fakes import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels tell less of a peer")

# A daemon without mark, session or standard streams of its run asks: saying that it is root, without that,
# and through a connection whose maker has ended. Its parents end at once, or ("stay") after its answers.
SLY = """
import json, os, socket, sys, time
def ask(connection, **request):
    answers = connection.makefile("rb")
    answers.readline()
    connection.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, **request}).encode() + b"\\n")
    return json.loads(answers.readline())
def connected():
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    return connection
if "bare" not in sys.argv:
    os.execve(sys.executable, [sys.executable, "-S", __file__, *sys.argv[1:], "bare"], {})
for _ in range(2):
    if os.fork():
        while "stay" in sys.argv and not os.path.exists("said"):
            time.sleep(0.01)
        os._exit(0)
    os.setsid()
for number in range(3):
    os.dup2(os.open("/dev/null", os.O_RDWR), number)
claim = {"task": "other", "who": {"user": "root", "process": "init", "pid": 1}}
said = [ask(connected(), method="pause", params=claim)]
said += [ask(connected(), method="pause", params={"task": "other"})]
reading, writing = os.pipe()
if os.fork() == 0:
    left = connected()
    if os.fork() == 0:
        os.read(reading, 1)
        said += [ask(left, method="resume", params={"task": "other"})]
        with open("said.part", "w") as file:
            json.dump(said, file)
        os.rename("said.part", "said")
    os._exit(0)
os.wait()
os.write(writing, b"x")
"""


@each(
    ("parents", "runs"),
    # One whose parents have ended before the owner looked at the children is of some run.
    [("stay", ["task sly"]), ("leave", ["task sly", UNKNOWN_RUN])],
)
async def test_a_client_inside_a_run_that_claims_to_be_root_is_recorded_as_the_run(tmp_path, parents, runs):
    place = Place(tmp_path)
    (place.home / "sly.py").write_text(SLY)
    never = json.dumps("59 23 31 12 *")
    argv = json.dumps(
        [sys.executable, "-S", str(place.home / "sly.py"), str(socket_path(place.home)), parents]
    )
    place.tasks(
        f"other\ncron = {never}\ncommand = ['true']",
        f"sly\nevery = '1h'\ncommand = {argv}",
    )
    with place.loop():
        await until((place.home / "said").exists, "the daemon has asked")
        claimed, paused, hidden = json.loads((place.home / "said").read_text())
        assert "no method 'pause' with these parameters" in claimed["error"]["message"]
        assert paused["result"]["text"] == "other: paused"
        assert "which connected, has ended" in hidden["error"]["message"]
        await until(lambda: any(event["kind"] == "paused" for event in place.events()), "it is logged")
    (who,) = [event["who"] for event in place.events() if event["kind"] in ("paused", "resumed")]
    assert who["run"] in runs
    assert who["user"] == user_name(os.geteuid())


async def test_the_process_that_connected_must_live():
    child = await asyncio.create_subprocess_exec("true")
    peer = Peer(child.pid, os.getuid(), frozenset())
    asker = Asker("opus", peer, outside)
    await child.wait()
    with pytest.raises(SchedulerError, match="has ended: ask from a process that lives"):
        await asker.who()


async def test_a_tab_is_the_browser_of_its_user():
    argv = (sys.executable, "-S", "-c", "input()", "-m", "tui.serve.monitor")
    tab = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE)
    try:
        peer = Peer(tab.pid, os.getuid(), frozenset())
        line = Path(f"/proc/{tab.pid}/cmdline")
        await until(lambda: b"monitor" in line.read_bytes(), "it is that program")
        who = await Asker("opus", peer, outside).who()
        assert (str(who), who.pid) == (f"browser of {user_name(os.getuid())}", tab.pid)
    finally:
        tab.kill()
        await tab.wait()


async def test_a_peer_that_cannot_be_seen_is_its_user_only():
    assert await Asker("opus", Peer(0, os.getuid(), frozenset()), outside).who() == Who(
        user_name(os.getuid())
    )


async def test_who_listens_for_a_citizen_is_found_by_the_kernels_list(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("o"))  # the name of a socket must be short
    place.tasks()
    with place.loop() as loop:
        await until((place.home / ".experience" / "control.sock").exists, "it listens")
        assert owners_among([os.getpid(), loop.pid]) == {loop.pid: "opus"}


async def test_sockets_of_others_with_lines_in_their_names_neither_break_it_nor_make_an_owner():
    """The kernel's list holds names as they are, whoever made the sockets."""
    with socket.socket(socket.AF_UNIX) as mine:
        mine.bind("")  # as the kernel names it
        inode = os.fstat(mine.fileno()).st_ino
        forged = (
            f"0000000000000000: 00000002 00000000 00010000 0001 01 {inode} /mira/.experience/control.sock"
        )
        names = ["x", f"x\n{forged}"[:107], "x\n0: 0 0 zz 1 1", "x\n\n\x85 1"]
        made = [socket.socket(socket.AF_UNIX) for _ in names]
        try:
            for each, name in zip(made, names, strict=True):
                each.bind(f"\0{name}")
                each.listen()
            assert owners_among([os.getpid()]) == {}
            assert (await Asker("opus", Peer(os.getppid(), os.getuid(), frozenset()), outside).who()).user
        finally:
            for each in made:
                each.close()


async def test_a_run_that_claims_to_be_another_or_none_freezes_as_a_run_and_lifts_no_limit(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("o"))
    verb = f"-i PATH=$PATH HOME=$HOME EXPERIENCE_CONFIG={place.config} LIAR {sys.executable} -m tui"
    claims = {"none": "X=1", "other": "EXPERIENCE_RUN=1 EXPERIENCE_TASK=good CITIZEN=mira"}
    freezes = " ".join(
        f"env {verb.replace('LIAR', each)} freeze opus --why {name};" for name, each in claims.items()
    )
    lift = f"env {verb.replace('LIAR', 'X=1')} budget opus --add 9 --today 2> {place.home}/said"
    script = f"cd {ROOT}; {lift}; {freezes}"
    place.tasks(
        f"sly\nevery = '1h'\ncommand = {json.dumps(['sh', '-c', f'{script} touch {place.home}/done'])}",
        more="[budget]\nday = 5\n",
    )
    bys = set()

    def asked() -> bool:
        with contextlib.suppress(OSError, ValueError):
            last = json.loads((place.home / ".experience" / "freeze.json").read_text())["last"]
            bys.add((last["why"], last["by"]))
        return (place.home / "done").exists()

    with place.loop():
        await until(asked, "the run has asked")
    assert "a run may not lift a limit (a run of opus asks)" in (place.home / "said").read_text()
    assert {by for _, by in bys} == {"a run of opus"} and ("other", "a run of opus") in bys
