"""`experience-tui stop` from a shell, with an owner of its own: what ran is gone, whatever it did to hide."""

import asyncio
import json
import os
import subprocess
import sys

from scheduler.process import process_info as facts
from scheduler.process.who import user_name
from tests.crash.loops import ROOT, Place
from tests.fakes import until

# Ten processes, each a child of the one before: new sessions, no mark, deaf, and with dead parents.
TREE = """
import os, signal, sys, time
left = int(sys.argv[1])
if left % 2:
    os.setsid() if os.getpid() != os.getpgid(0) else None
if left % 3 == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if left > 1:
    if left % 4 == 0 and os.fork():
        time.sleep(0.2)
        os._exit(0)
    if os.fork() == 0:
        bare = {"PATH": os.environ.get("PATH", "")}
        os.execve(sys.executable, [sys.executable, "-c", sys.argv[2], str(left - 1), sys.argv[2]], bare)
print(os.getpid(), file=open("pids", "a"), flush=True)
time.sleep(600)
"""


def stop(place: Place, task: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "tui", "stop", "opus", task, "--wait", "--json", "--config", place.config]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)


async def test_a_tree_of_ten_processes_with_changed_sessions_is_gone(tmp_path):
    place = Place(tmp_path)
    argv = json.dumps([sys.executable, "-c", TREE, "10", TREE])
    place.tasks(f"tree\nevery = '1h'\nretries = 3\ncommand = {argv}")
    with place.loop():
        await until(lambda: len(place.lines("pids")) >= 10, "all of them run")
        pids = [int(words[0]) for words in place.lines("pids")]
        done = await asyncio.to_thread(stop, place, "tree")
        assert [pid for pid in pids if (found := facts.stat(pid)) and found.state not in "ZX"] == []
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout) == {
            **{"citizen": "opus", "task": "tree", "outcome": "stopped"},
            "text": f"tree: stopped by {user_name(os.geteuid())}",
        }
        again = await asyncio.to_thread(stop, place, "tree")
        assert (again.returncode, json.loads(again.stdout)["code"]) == (2, "not-running")
    entry = place.entry("tree")
    assert (entry["outcome"], entry["retry_at"], place.states()["errors"]) == ("stopped", None, {})
