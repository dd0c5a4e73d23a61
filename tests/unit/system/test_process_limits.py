"""What a process that runs citizens asks of the system, tried in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = """
import json, resource, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from scheduler.process.startup import prepare_process
prepare_process()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
print(json.dumps([sys.getswitchinterval(), soft == hard, signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="macOS may refuse the limit that it names")
def test_threads_share_fairly_files_have_room_and_exit_codes_are_kept():
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=root, capture_output=True, text=True, check=True)
    interval, room, kept = json.loads(done.stdout)
    assert interval <= 0.001 and room and kept
