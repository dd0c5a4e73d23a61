"""The `needs` marker: a test that needs a real program is skipped, or fails, where that is missing."""

import os
import shutil
from pathlib import Path

import pytest

# Where it is set, in CI, a missing program is a failure: nothing is skipped unseen.
SWITCH = "EXPERIENCE_NEED_SERVERS"
# Drives a real browser; .ci/run puts it there, and `npm install --prefix .node playwright-core` does.
PLAYWRIGHT = Path(__file__).parents[1] / ".node" / "node_modules" / "playwright-core"
# Servers live in sbin, or in a folder of their version: neither is on an ordinary user's path.
_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), *_FOLDERS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    programs = [program for mark in item.iter_markers("needs") for program in mark.args]
    missing = [program for program in programs if not _is_there(program)]
    if not missing:
        return
    reason = f"the real program is missing: {', '.join(missing)}"
    if os.environ.get(SWITCH) == "1":
        pytest.fail(f"{reason} ({SWITCH}=1 allows no skips)", pytrace=False)
    pytest.skip(reason)


def _is_there(program: str) -> bool:
    return PLAYWRIGHT.is_dir() if program == PLAYWRIGHT.name else bool(shutil.which(program, path=PATH))
