"""A PostgreSQL of its own for the tests: made by initdb in a temporary folder, on a free port, with fsync."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.needs import PATH

INITDB = ("-U", "experience", "-A", "trust", "-E", "UTF8", "--locale=C")


class Postgres:
    """A server that can be stopped, crashed and started again."""

    def __init__(self, folder: Path, bin_folder: Path, copy_of: str = "") -> None:
        """`copy_of`: the address of the server whose replica it is, and follows until it is promoted."""
        self._folder, self._bin = folder, bin_folder
        self._data = folder / "data"
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to run as root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None
        if self._user:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        made = (
            ("pg_basebackup", "-R", "-c", "fast", "--no-sync", "-d", copy_of)
            if copy_of
            else ("initdb", *INITDB)
        )
        self._run(*made, "-D", str(self._data))

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://experience@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return self.url(name)

    def start(self) -> None:
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c max_connections=200"
        options += " -c unix_socket_directories="
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                (str(self._bin / "postgres"), "-D", str(self._data), *options.split()),
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                **self._as_user(),  # type: ignore[call-overload]
            )
        for _ in range(600):
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])

    def set_to(self, name: str, value: str) -> None:
        """Change a setting, and return when it is in force."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # type: ignore[call-overload]
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute(f"SHOW {name}").fetchone() != (value,):  # type: ignore[call-overload]
                time.sleep(0.01)

    def certify(self) -> None:
        """Give it a key, and a certificate that it has signed itself."""
        program = shutil.which("openssl")
        assert program
        files = ("-keyout", str(self._data / "server.key"), "-out", str(self._data / "server.crt"))
        self._run(program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", *files)

    def promote(self) -> None:
        """A replica becomes a server of its own, and returns when it takes writes."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self._data))

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def crash(self) -> None:
        """As if its machine lost power: SIGQUIT ends every backend at once, and recovery follows."""
        assert self._server
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()

    def freeze(self) -> None:
        assert self._server
        os.killpg(self._server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._server
        os.killpg(self._server.pid, signal.SIGCONT)

    def stop(self) -> None:
        """At once: what it holds is thrown away."""
        if self.running:
            self.crash()

    def _as_user(self) -> dict[str, int | list[int]]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            (str(self._bin / program), *arguments), check=True, capture_output=True, **self._as_user()
        )  # type: ignore[call-overload]


@contextmanager
def postgres(copy_of: str = "") -> Iterator[Postgres]:
    """A running server, gone afterwards; a replica of that one."""
    program = shutil.which("postgres", path=PATH)
    assert program, "PostgreSQL is not installed: apt install postgresql"
    with tempfile.TemporaryDirectory(prefix="pg-") as place:
        server = Postgres(Path(place), Path(program).resolve().parent, copy_of)
        server.start()
        try:
            yield server
        finally:
            server.stop()
