"""Being an ordinary user for a while: root may read and write what nobody else could."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """What is done here is done without root's privileges, whoever runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def home_of_an_ordinary_user() -> Iterator[Path]:
    """A home that an ordinary user may look into; the tests' own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="experience-test-"))
    home = folder / "opus"
    home.mkdir()
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            os.chown(home, NOBODY, NOBODY)
        yield home
    finally:
        home.chmod(0o700)
        shutil.rmtree(folder)
