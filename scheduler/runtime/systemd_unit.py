"""The systemd unit of a citizen's loop: its text, hardened as far as tasks allow, and its installation."""

import os
import pwd
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from scheduler.config.files import main_candidates
from scheduler.config.loader import CitizenSettings, Settings, load, load_or_raise
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.process.sd_notify import SERVICE
from scheduler.runtime.loop_process import loop_command
from scheduler.storage.lock import Unit, managed_by, mark, unit_of, unmark
from scheduler.system.files import replace_file
from scheduler.system.unix_socket import socket_path

HEADER = "# Written by `experience-tui service install"
AFTER_GRACE = 30.0  # seconds to kill and abandon runs that do not end, and to save the state
WATCHDOG = 90  # seconds
SYSTEM_UNITS = Path("/etc/systemd/system")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# A JIT writes code at run time and a browser makes namespaces: MemoryDenyWriteExecute and
# RestrictNamespaces=yes would keep such tasks from starting.
HARDENING = """\
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
SYSTEM_HARDENING = """\
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


@dataclass(frozen=True, slots=True)
class Place:
    """A citizen's unit file: its place and its text."""

    unit: Unit
    file: Path
    home: Path
    text: str = ""

    @property
    def wanted_by(self) -> Path:
        """The link that `systemctl enable` makes."""
        target = "default.target" if self.unit.user else "multi-user.target"
        return self.file.parent / f"{target}.wants" / self.file.name


def place(
    citizen: str,
    *,
    user: bool = False,
    into: Path | None = None,
    config: Path | None = None,
    writable: Iterable[Path] = (),
) -> Place:
    """The unit that the settings of this citizen describe; raises SchedulerError."""
    settings = load_or_raise(config=config, only=(citizen,))
    chosen = settings.named(citizen)
    where = _place(chosen, user, into)
    if not where.home.is_dir():
        raise SchedulerError(f"{where.home}: does not exist; mkdir {where.home} as the user who will run it")
    return replace(where, text=unit_text(chosen, settings, where.unit, config, writable))


def place_of(
    citizen: str, *, user: bool = False, into: Path | None = None, config: Path | None = None
) -> Place:
    """The place of this citizen's unit, even if its settings have errors; raises UnknownCitizen."""
    return _place(load(config=config, only=(citizen,)).named(citizen), user, into)


def _place(citizen: CitizenSettings, user: bool, into: Path | None) -> Place:
    unit = unit_of(citizen.name, user)
    return Place(unit, (into or unit_folder(user)) / f"{unit.name}.service", citizen.home)


def unit_folder(user: bool) -> Path:
    """The folder of the administrator's units, or of this user's units."""
    if not user:
        return SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def install(where: Place) -> None:
    """Write the unit and mark the home; raises SchedulerError."""
    _refuse_foreign(where)
    try:
        where.file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(
            where.file, where.text.encode(), mode=0o644
        )  # systemd warns about a unit with another mode
        mark(where.home, where.unit)
    except OSError as error:
        raise _io_error(error, where) from error


def remove(where: Place) -> list[str]:
    """Remove the unit and the mark; return what was removed."""
    _refuse_foreign(where)
    removed = []
    try:
        for file in (where.wanted_by, where.file):
            if file.is_symlink() or file.exists():
                file.unlink()
                removed.append(str(file))
        if unmark(where.home):
            removed.append(f"the mark in {where.home}")
    except OSError as error:
        raise _io_error(error, where) from error
    return removed


def installed(where: Place) -> str:
    """The installed unit; raises SchedulerError if there is none."""
    try:
        content = where.file.read_text(encoding="utf-8", errors="replace")
        unit = managed_by(where.home)
    except FileNotFoundError as error:
        how = f"{PROGRAM} service install {where.home.name}{' --user' if where.unit.user else ''}"
        raise SchedulerError(f"{where.file}: does not exist; write it with {how}") from error
    except OSError as error:
        raise _io_error(error, where) from error
    mark = f"managed by {unit.name}" if unit else "not managed: a monitor may own it; install it again"
    return f"# {where.file}\n{content}# {where.home}: {mark}"


def _refuse_foreign(where: Place) -> None:
    """Raise SchedulerError for a unit that `service install` did not write."""
    try:
        foreign = not where.file.read_text(encoding="utf-8", errors="replace").startswith(HEADER)
    except OSError:
        return
    if foreign:
        raise SchedulerError(f"{where.file}: another program or person wrote it; move it away first")


def _io_error(error: OSError, where: Place) -> SchedulerError:
    fix = "run it with sudo, or pass --user" if isinstance(error, PermissionError) else "fix that first"
    return SchedulerError(f"{error.filename or where.file}: {error.strerror or error}; {fix}")


# ------------------------------------------------------------------ text


def unit_text(
    citizen: CitizenSettings, settings: Settings, unit: Unit, config: Path | None, writable: Iterable[Path]
) -> str:
    """The unit file."""
    owner = citizen.home.stat().st_uid
    parts = [
        f"{HEADER} {citizen.name}`, which can be run again; put your changes in",
        f"# `{unit.systemctl('edit')}`.",
        "[Unit]",
        f"Description=Experience: the background tasks of {citizen.name}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *_service(citizen, unit, owner, _command(citizen.name, config)),
        *_environment(settings, unit, owner),
        "",
        *_sandbox(citizen, settings, unit, owner, writable),
        "",
        "[Install]",
        f"WantedBy={'default.target' if unit.user else 'multi-user.target'}",
    ]
    return "\n".join(parts) + "\n"


def _service(citizen: CitizenSettings, unit: Unit, owner: int, command: list[str]) -> list[str]:
    return [
        "Type=notify",
        "NotifyAccess=main",
        *([] if unit.user else [f"User={_user_name(owner)}"]),
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
    """The command of the loop, with the settings file that is in use now."""
    used = next((file for file in main_candidates(config, os.environ) if file.is_file()), None)
    return loop_command([citizen], ["--config", str(used)] if used else [])


def _environment(settings: Settings, unit: Unit, owner: int) -> list[str]:
    given = {SERVICE: unit.name, "EXPERIENCE_ROOT": str(settings.root), "PATH": _search_path(owner)}
    return [f"Environment={_quoted(f'{name}={value}')}" for name, value in given.items()]


def _search_path(owner: int) -> str:
    """The search path for commands: this process's own if the unit runs as the same user."""
    folders = (
        os.environ.get("PATH", PATH) if owner == os.geteuid() else f"{_home_folder(owner)}/.local/bin:{PATH}"
    )
    return ":".join(dict.fromkeys(folder for folder in folders.split(":") if folder.startswith("/")))


def _sandbox(
    citizen: CitizenSettings, settings: Settings, unit: Unit, owner: int, writable: Iterable[Path]
) -> list[str]:
    """The limits on what tasks may do; a user's manager cannot apply most and would not start the unit."""
    if unit.user:
        return HARDENING.splitlines()
    runtime, sockets = Path(f"/run/user/{owner}"), socket_path(citizen.home).parent
    wanted = [citizen.home, settings.root, _home_folder(owner), runtime, *_option_paths(citizen), *writable]
    paths = dict.fromkeys(str(path.absolute()) for path in wanted if path != Path("/"))
    temporary = {"/tmp", "/var/tmp", tempfile.gettempdir()}  # only compared
    shared = any(temporary & set(map(str, path.parents)) for path in (citizen.home, sockets / "x"))
    return [
        *HARDENING.splitlines(),
        *SYSTEM_HARDENING.splitlines(),
        f"PrivateTmp={'no' if shared else 'yes'}",
        "# What the tasks may write to; a `-` in front: if it is there.",
        *(f"ReadWritePaths={_quoted(f'-{path}')}" for path in paths),
        *([f"ReadWritePaths={' '.join(sorted(temporary))}"] if shared else []),
    ]


def _option_paths(citizen: CitizenSettings) -> list[Path]:
    """The folders in the options of tasks, such as the target of backups."""
    given = [task.options for task in citizen.tasks if task.options is not None]
    return [value for options in given for _, value in options if isinstance(value, Path)]


def _user_name(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _home_folder(owner: int) -> Path:
    try:
        return Path(pwd.getpwuid(owner).pw_dir)
    except KeyError:
        return Path("/")


def _percent(value: str) -> str:
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    """The word with everything escaped that systemd would interpret."""
    if "\n" in value or "\r" in value:
        raise SchedulerError(f"{value!r}: a unit cannot contain a line end; rename it")
    escaped = _percent(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if not value.isascii() or any(c in value for c in " \t\\\"';") else escaped
