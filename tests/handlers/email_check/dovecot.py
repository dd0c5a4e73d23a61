"""A real Dovecot over TLS on this machine, as an ordinary user: started by a test, gone with it."""

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from imap_tools import MailBox
from imap_tools.mailbox import BaseMailBox

from tests.needs import PATH
from tests.ordinary_user import ORDINARY_USER

USER, PASSWORD = "alice@example.org", 'p"a\\ss-0f-alice'

_numbers = count()  # Dovecot knows a message by the name of its file, also when it is long gone

_CONFIGURATION = """
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/{certificate}
ssl_key = <{folder}/server.key
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
mail_location = maildir:{folder}/mail/%u
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
auth_failure_delay = 0
mail_max_userip_connections = 50
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@dataclass
class Dovecot:
    """A server with one mailbox; `folder` holds all it has, authorities and certificates included."""

    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def mail(self) -> Path:
        return self.folder / "mail" / USER

    def start(self, certificate: str = "good.pem") -> None:
        uid, gid = _ids()
        values = {
            "folder": self.folder,
            "certificate": certificate,
            "port": self.port,
            "user": pwd.getpwuid(uid).pw_name,
            "group": grp.getgrgid(gid).gr_name,
            "uid": uid,
            "gid": gid,
        }
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(_CONFIGURATION.format(**values))
        (self.folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        program = shutil.which("dovecot", path=PATH)
        assert program
        with (self.folder / "said").open("wb") as said:
            argv = [program, "-F", "-c", str(configuration)]
            self._process = subprocess.Popen(argv, stdout=said, stderr=said, **_as_ordinary_user())
        _until_it_listens(self.port)

    def stop(self) -> None:
        """End it and wait until it has gone."""
        if self._process:
            self._process.terminate()
            self._process.wait(8)

    def restart(self, certificate: str = "good.pem") -> None:
        self.stop()
        self.start(certificate)

    def box(self) -> BaseMailBox:
        """A logged-in mailbox of the library's own, for looking and appending."""
        import ssl

        trust = ssl.create_default_context(cafile=str(self.authority))
        return MailBox("localhost", self.port, timeout=10, ssl_context=trust).login(USER, PASSWORD)

    def flags(self) -> Mapping[str, tuple[str, ...]]:
        """The flags of every message by its UID, looked at without touching them."""
        with self.box() as box:
            box.folder.set("INBOX", readonly=True)
            return {m.uid: m.flags for m in box.fetch(mark_seen=False, headers_only=True, bulk=True) if m.uid}

    def empty(self) -> None:
        """No mail, but for the folders that a test made."""
        with self.box() as box:
            box.delete(box.uids())

    def deliver(self, messages: Iterable[bytes]) -> None:
        """Put messages where Dovecot finds new ones: a thousand times faster than appending."""
        new = self.mail / "new"
        for folder in (self.mail, new, self.mail / "cur", self.mail / "tmp"):
            folder.mkdir(exist_ok=True)
        for message in messages:
            (new / f"1700000000.{next(_numbers)}.localhost").write_bytes(message)
        _own(self.mail)


@contextlib.contextmanager
def dovecot() -> Iterator[Dovecot]:
    folder = Path(tempfile.mkdtemp(prefix="experience-mail-"))
    server = Dovecot(folder, free_port())
    try:
        (folder / "mail").mkdir()
        certificates(folder)
        _own(folder)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def certificates(folder: Path) -> None:
    """An authority, what it signed (good.pem, expired.pem, other.pem for another host), and alone.pem."""
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    alone = [*new, "-x509", "-days", "9"]
    _run(folder, *alone, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority")
    _run(folder, *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    here, other = "DNS:localhost,IP:127.0.0.1", "DNS:mail.example.net"
    for name, days, hosts in (("good", "9", here), ("expired", "-1", here), ("other", "9", other)):
        (folder / "hosts").write_text(f"subjectAltName={hosts}")
        sign = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "hosts")
        given = ("-req", "-in", "server.csr", "-days", days, "-out", f"{name}.pem")
        _run(folder, "openssl", "x509", *given, *sign)
    (folder / "hosts").write_text(f"subjectAltName={here}")
    itself = ("-req", "-in", "server.csr", "-days", "9", "-out", "alone.pem", "-signkey", "server.key")
    _run(folder, "openssl", "x509", *itself, "-extfile", "hosts")


def _run(folder: Path, *argv: str) -> None:
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=8)


def _as_ordinary_user() -> dict[str, Any]:
    uid, gid = _ids()
    return {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}


def _ids() -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    return ORDINARY_USER, pwd.getpwuid(ORDINARY_USER).pw_gid


def _own(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *_ids())


def _until_it_listens(port: int) -> None:
    end = monotonic() + 8
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            assert monotonic() < end, "dovecot does not listen"
