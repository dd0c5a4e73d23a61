"""The text of a unit: what systemd must know to run a citizen's loop, hardened as far as tasks can bear."""

import os
import pwd
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path

from scheduler.config.files import main_candidates
from scheduler.config.loader import CitizenSettings, Settings
from scheduler.errors import SchedulerError
from scheduler.storage.managed import Unit
from scheduler.system.sd_notify import SERVICE
from scheduler.system.unix_socket import socket_path

OURS = "# Written by `experience-tui service install"
AFTER_GRACE = 30.0  # seconds: runs that do not end are killed and written off, then the state is saved
WATCHDOG = 90  # seconds
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# An interpreter may write code (a JIT) and a browser may make namespaces: MemoryDenyWriteExecute and
# RestrictNamespaces=yes would keep such tasks from starting.
ANYWHERE = """\
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
SYSTEM_ONLY = """\
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
ProtectSystem=strict
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=user pid mnt net ipc
KeyringMode=private
"""


def text(
    citizen: CitizenSettings, settings: Settings, unit: Unit, config: Path | None, writable: Iterable[Path]
) -> str:
    """The unit file."""
    owner = citizen.home.stat().st_uid
    parts = [
        f"{OURS} {citizen.name}`, which can be run again; changes of yours go to",
        f"# `{unit.systemctl('edit')}`.",
        "[Unit]",
        f"Description=Experience: the background tasks of {citizen.name}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *_life(citizen, unit, owner, _command(citizen.name, config)),
        *_environment(settings, unit, owner),
        "",
        *_sandbox(citizen, settings, unit, owner, writable),
        "",
        "[Install]",
        f"WantedBy={'default.target' if unit.user else 'multi-user.target'}",
    ]
    return "\n".join(parts) + "\n"


def _life(citizen: CitizenSettings, unit: Unit, owner: int, command: list[str]) -> list[str]:
    return [
        "Type=notify",
        "NotifyAccess=main",
        *([] if unit.user else [f"User={_name(owner)}"]),
        f"WorkingDirectory={_percent(str(citizen.home))}",
        "ExecStart=" + " ".join(_quoted(word.replace("$", "$$")) for word in command),
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=on-failure",
        "RestartSec=10s",
        f"WatchdogSec={WATCHDOG}s",
        "KillMode=mixed",
        f"TimeoutStopSec={citizen.grace + AFTER_GRACE:.0f}s",
        f"SyslogIdentifier={unit.name}",
    ]


def _command(citizen: str, config: Path | None) -> list[str]:
    """The loop of this very installation, with the settings that are in use now."""
    core = Path(__file__).resolve().parents[2] / "core.py"
    loop = [str(core), "--loop"] if core.is_file() else ["-P", "-m", "tui", "--no-ui"]
    used = next((file for file in main_candidates(config, os.environ) if file.is_file()), None)
    return [sys.executable, *loop, "--citizen", citizen, *(["--config", str(used)] if used else [])]


def _environment(settings: Settings, unit: Unit, owner: int) -> list[str]:
    given = {SERVICE: unit.name, "EXPERIENCE_ROOT": str(settings.root), "PATH": _path(owner)}
    return [f"Environment={_quoted(f'{name}={value}')}" for name, value in given.items()]


def _path(owner: int) -> str:
    """Where commands are found: as for us, if it is for us."""
    ours = os.environ.get("PATH", PATH) if owner == os.geteuid() else f"{_folder(owner)}/.local/bin:{PATH}"
    return ":".join(dict.fromkeys(folder for folder in ours.split(":") if folder.startswith("/")))


def _sandbox(
    citizen: CitizenSettings, settings: Settings, unit: Unit, owner: int, writable: Iterable[Path]
) -> list[str]:
    """A user's own manager may not do most of it: there the unit would not even start."""
    if unit.user:
        return ANYWHERE.splitlines()
    runtime, sockets = Path(f"/run/user/{owner}"), socket_path(citizen.home).parent
    wanted = [citizen.home, settings.root, _folder(owner), runtime, *_outside(citizen), *writable]
    paths = dict.fromkeys(str(path.absolute()) for path in wanted if path != Path("/"))
    temporary = {"/tmp", "/var/tmp", tempfile.gettempdir()}  # looked for, not written to
    shared = any(temporary & set(map(str, path.parents)) for path in (citizen.home, sockets / "x"))
    return [
        *ANYWHERE.splitlines(),
        *SYSTEM_ONLY.splitlines(),
        f"PrivateTmp={'no' if shared else 'yes'}",
        "# What the tasks may write to; a `-` in front: if it is there.",
        *(f"ReadWritePaths={_quoted(f'-{path}')}" for path in paths),
        *([f"ReadWritePaths={' '.join(sorted(temporary))}"] if shared else []),
    ]


def _outside(citizen: CitizenSettings) -> list[Path]:
    """The folders that settings of tasks name, like that of the backups."""
    given = [task.options for task in citizen.tasks if is_dataclass(task.options)]
    values = [getattr(options, each.name) for options in given for each in fields(options)]
    return [value for value in values if isinstance(value, Path)]


def _name(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _folder(owner: int) -> Path:
    try:
        return Path(pwd.getpwuid(owner).pw_dir)
    except KeyError:
        return Path("/")


def _percent(value: str) -> str:
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    """A word as systemd reads it: what is special in it means itself."""
    if "\n" in value or "\r" in value:
        raise SchedulerError(f"{value!r}: no unit can hold a line end; rename it")
    escaped = _percent(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if not value.isascii() or any(c in value for c in " \t\\\"';") else escaped
