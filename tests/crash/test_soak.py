"""A short walk of the soak; the long one is `python -m tests.crash.soak --points 1000`."""

import subprocess
import sys

import pytest

from tests.crash.loops import ROOT


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_at_fifteen_random_points_nothing_is_lost_and_nothing_runs_twice():
    argv = [sys.executable, "-m", "tests.crash.soak", "--points", "15", "--homes", "3"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("all well")
