"""Death inside a save: the file is the old one or the new one, whole, wherever it strikes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.loops import ROOT, STATE, Place, command
from tests.each import each

DIES_INSIDE_THE_WRITE = """
import resource, signal, sys
from pathlib import Path
from scheduler.core.state import TaskState
from scheduler.storage.state_file import StateFile
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
file = StateFile(Path(sys.argv[1]))
file.load()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
states = {f"task{n}": TaskState(2.0, 2, text="x" * 100) for n in range(200)}
file.save(states, 1, durable=sys.argv[3] == "durable")
"""

DIES_AT_A_CALL = """
import os, signal, sys
from pathlib import Path
from scheduler.core.state import TaskState
from scheduler.storage.state_file import StateFile
file = StateFile(Path(sys.argv[1]))
file.load()
owner, name, number = {"os": os, "Path": Path}[sys.argv[2]], sys.argv[3], int(sys.argv[4])
real, calls = getattr(owner, name), []
def deadly(*args, **named):
    calls.append(args)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **named)
setattr(owner, name, deadly)
file.save({"a": TaskState(2.0)}, 1, durable=True)
"""


def dies(home: Path, script: str, *words: object) -> int:
    argv = [sys.executable, "-c", script, str(home), *map(str, words)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=20, check=False).returncode


@pytest.fixture
def old(home):
    """A state file with one run in it, and a key of another program."""
    (home / STATE).write_text('{"last_run": {"a": 1.0}, "note": "theirs"}')
    return json.loads((home / STATE).read_text())


@each("durable", ["durable", "quick"])
@each("size", [0, 1, 4096, 20_000])
def test_death_inside_the_write_leaves_the_old_file(home, old, size, durable):
    assert dies(home, DIES_INSIDE_THE_WRITE, size, durable) == -signal.SIGXFSZ
    assert json.loads((home / STATE).read_text()) == old


@each(
    "call, number, is_new",
    [
        (("os", "fchmod"), 1, False),
        (("os", "fsync"), 1, False),
        (("os", "replace"), 1, False),
        (("os", "fsync"), 2, True),
    ],
)
def test_death_between_two_steps_of_a_save_leaves_the_old_file_or_the_new_one(
    home, old, call, number, is_new
):
    assert dies(home, DIES_AT_A_CALL, *call, number) == -signal.SIGKILL
    found = json.loads((home / STATE).read_text())
    assert found["last_run"] == {"a": 2.0 if is_new else 1.0}
    assert found["note"] == "theirs"


FULL = """
import resource, sys
from scheduler.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
sys.exit(main())
"""


def full_disk(place: Place, *flags: str) -> list[str]:
    """The command line where no file can grow beyond a thousand bytes."""
    argv = place.argv(*flags)
    argv[2] = FULL
    return argv


def test_what_cannot_be_saved_is_done_and_said(tmp_path):
    place = Place(tmp_path)
    place.tasks(command("chore", "true"))
    argv = full_disk(place, "--reset", "chore")
    status = subprocess.run(
        argv, cwd=ROOT, env=place.environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert "chore: reset; done, not saved: File too large" in status.stdout
    assert "Traceback" not in status.stderr
    assert not (place.home / STATE).exists()
