"""Two monitors that open at once, a few times; a long walk is `python -m tests.crash.doubles --times 100`."""

import subprocess
import sys

import pytest

from tests.crash.loops import ROOT


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_of_two_monitors_that_open_at_once_one_owns_and_the_other_is_attached_to_it():
    argv = [sys.executable, "-m", "tests.crash.doubles", "--times", "2"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("exactly one owner in 2 of 2 rounds")
