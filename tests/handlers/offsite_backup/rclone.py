"""`rclone serve restic` on this machine, as an ordinary user: started by a test, gone with it."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

from tests.ordinary_user import ORDINARY_USER


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def rclone_serving() -> Iterator[tuple[str, Path]]:
    """A repository's address with its user and password, and the folder that is behind it."""
    folder = Path(tempfile.mkdtemp(prefix="experience-rclone-"))
    port, us = free_port(), {}
    if os.geteuid() == 0:
        os.chown(folder, ORDINARY_USER, ORDINARY_USER)
        us = {"user": ORDINARY_USER, "group": ORDINARY_USER, "extra_groups": []}
    argv = ["rclone", "serve", "restic", "--addr", f"127.0.0.1:{port}", "--config", str(folder / "none.conf")]
    argv += ["--user", "vault", "--pass", "pass-of-the-server", str(folder / "data")]
    # rclone 1.60 fails while AWS_CA_BUNDLE is set.
    around = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    server = subprocess.Popen(argv, env=around, cwd=folder, stdout=-3, stderr=-3, **us)
    try:
        _wait_for(port, server)
        yield f"rest:http://vault:pass-of-the-server@127.0.0.1:{port}/", folder / "data"
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    end = monotonic() + 8
    while monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        sleep(0.02)
    raise AssertionError(f"rclone does not serve: exit code {server.poll()}")
