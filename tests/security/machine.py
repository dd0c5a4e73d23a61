"""A machine with root at the keyboard, and an agent of another user who can write its own home."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
AGENT, OTHER = 5001, 5002  # two users without a name
# A crontab(1) that keeps one file for each user.
CRONTAB = """\
#!/bin/sh
user=root; [ "$1" = -u ] && {{ user=$2; shift 2; }}
case "$1" in
-l) [ -f {spool}/$user ] || {{ echo "no crontab for $user" >&2; exit 1; }}; exec cat {spool}/$user ;;
-r) exec rm {spool}/$user ;;
-) exec cat > {spool}/$user ;;
esac
"""


class Machine:
    """The agent's home `evil`, root's home `good`, and root's own files outside of both."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder, self.root, self.outside = folder, folder / "root", folder / "outside"
        self.root.mkdir(mode=0o755)
        self.outside.mkdir(mode=0o700)
        self.victim = self.outside / "victim"
        self.victim.write_text("root's secret")
        self.victim.chmod(0o600)
        self.home = self.new_home("evil", AGENT)
        (folder / "main.toml").write_text("")
        (folder / "spool").mkdir(mode=0o700)
        (folder / "bin").mkdir(mode=0o755)
        (folder / "bin" / "crontab").write_text(CRONTAB.format(spool=folder / "spool"))
        (folder / "bin" / "crontab").chmod(0o755)

    def new_home(self, name: str, user: int) -> Path:
        home = self.root / name
        home.mkdir(mode=0o755)
        (home / "experience.toml").write_text("")
        for each in (home, home / "experience.toml"):
            os.chown(each, user, user)
        return home

    def agent(self, script: str, given: str = "", **names: object) -> None:
        """What the agent does, with its own rights: a shell script in its home."""
        subprocess.run(
            ["setpriv", f"--reuid={AGENT}", f"--regid={AGENT}", "--clear-groups", "sh", "-ec", script],
            cwd=self.home,
            env={
                "PATH": os.environ["PATH"],
                "TMPDIR": str(self.home),
                **{name: str(value) for name, value in names.items()},
            },
            input=given,
            text=True,
            check=True,
            timeout=20,
        )

    def experience(self, *argv: object, code: int | None = None, user: int = 0) -> str:
        """What `experience-tui` prints, run by root or by another user."""
        words = list(map(str, argv))
        command = (
            [sys.executable, "-m", "tui", *words]
            if user == 0
            else [sys.executable, "-m", "tests.integration.as_user", str(user), str(user), *words]
        )
        return self._call(command, code)

    def core(self, *argv: object, code: int | None = None) -> str:
        """What root's `core.py` prints."""
        return self._call([sys.executable, "core.py", *map(str, argv)], code)

    def _call(self, command: Sequence[str], code: int | None) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        text = done.stdout + done.stderr
        assert "Traceback" not in text, text
        assert code is None or done.returncode == code, text
        return text

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "EXPERIENCE_ROOT": str(self.root),
            "EXPERIENCE_CONFIG": str(self.folder / "main.toml"),
            "HOME": str(self.folder),
        }

    def everything_outside(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Root's files, each with its owner, mode and content."""
        found = {}
        for path in (self.outside, *self.outside.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[path.name] = status.st_uid, status.st_gid, status.st_mode, content
        return found

    def owners(self) -> dict[str, int]:
        """The owner of everything in the agent's home."""
        return {str(path.relative_to(self.home)): path.lstat().st_uid for path in self.home.rglob("*")}


def journal(*changes: dict[str, str | None]) -> str:
    return json.dumps({"version": 1, "changes": changes})
