"""Decides what each line of a crontab becomes: a task, the wake, or work for a person, with the reason."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.core.schedules.forecast import upcoming
from scheduler.core.schedules.schedule import AtStart, Cron, Every, Schedule, zone_named
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Command, Task
from scheduler.errors import BadSchedule
from scheduler.migration.cron_fields import NotCron, read_fields
from scheduler.migration.crontab import Line, LineKind, has_users, read, split_input, split_user
from scheduler.migration.hints import anacron_job, as_setting, sixth_field
from scheduler.migration.installed_cron import InstalledCron, first_syntax_error, is_installed
from scheduler.migration.names import folders_in, in_background, keeps_alive, name_of, numbered, script_of
from scheduler.migration.planned import (
    CannotMigrate,
    CrontabPlan,
    Fate,
    LinePlan,
    MigrationRequest,
    Moments,
    Source,
)
from scheduler.migration.reboot_lines import leaves_a_daemon, running_copy

# The scripts in v1's crontab, and what each becomes.
V1_SCRIPTS = {
    "autonomous_wake": WAKE,
    "news_scanner_local": "news_scan",
    "news_scanner": "news_scan",
    "dream_generator_local": "dream_generate",
    "dream_generator": "dream_generate",
    "email_monitor": "email_check",
} | {name: name for name in BACKGROUND_TASKS}

SHOWN = 3  # next times shown, by cron and here
_FLAGS = re.compile(r"(?:-[nqs]+[ \t]+)+(?=\S)")  # for mail and syslog, in FreeBSD and OpenBSD
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MINUTES, _HOURS = re.compile(r"\*/(\d+) \* \* \* \*"), re.compile(r"\d+ \*/(\d+) \* \* \*")


@dataclass(frozen=True, slots=True, eq=False)
class LineContext:
    """What the settings above a line mean for it."""

    environment: Mapping[str, str]
    zone: tzinfo
    named: str = ""
    wrong: str = ""  # why times below cannot be read

    def with_setting(self, name: str, value: str, wanted: MigrationRequest) -> "LineContext":
        if name == "LOGNAME" or not _NAME.fullmatch(name):  # cron sets LOGNAME itself
            return self
        around = replace(self, environment={**self.environment, name: value})
        if name != "CRON_TZ" or wanted.cron.reads_zone is False:
            return around
        try:
            named = zone_named(value) if value else wanted.zone
        except BadSchedule as error:
            return replace(around, wrong=str(error))
        return replace(around, zone=named, named=value, wrong="")


def plan(sources: Iterable[Source], wanted: MigrationRequest) -> tuple[CrontabPlan, ...]:
    """A plan for every line of every source."""
    planner = _Planner(wanted)
    return tuple(planner.crontab(source) for source in sources)


class _Planner:
    """Plans lines, and keeps track of names and times."""

    def __init__(self, wanted: MigrationRequest) -> None:
        self._wanted = wanted
        self._names: dict[str, int] = {}
        self._used = {WAKE, *wanted.taken, *BACKGROUND_TASKS}
        self._given: set[str] = set()  # names that v1's lines got
        self._times: dict[tuple[str, tzinfo], tuple[Cron, Moments]] = {}

    def crontab(self, source: Source) -> CrontabPlan:
        lines = read(source.content)
        column = has_users(source.path, lines, self._wanted.user) if source.column is None else source.column
        wanted = self._wanted
        usual = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": wanted.home, "LOGNAME": wanted.user}
        usual |= {name: value for name, value in wanted.cron.environment.items() if name not in usual}
        around, plans = LineContext(usual, wanted.zone), list[LinePlan]()
        ignored = source.ignored or self._why_ignored(source, lines, column)
        for line in lines:
            if line.kind is LineKind.SETTING:
                around = around.with_setting(line.name, line.value, wanted)
            plans.append(self._line(line, around, column, ignored))
        return CrontabPlan(source, column, tuple(plans))

    def _why_ignored(self, source: Source, lines: Sequence[Line], column: bool) -> str:
        if not (self._wanted.cron.ignores_files and is_installed(source.path)):
            return ""
        wrong = first_syntax_error(lines, column, self._wanted.is_user)
        return f"cron ignores this file for the syntax error in its line {wrong.number}" if wrong else ""

    def _line(self, line: Line, around: LineContext, column: bool, ignored: str) -> LinePlan:
        try:
            match line.kind:
                case LineKind.BLANK:
                    return LinePlan(line, Fate.BLANK)
                case LineKind.COMMENT:
                    return LinePlan(line, Fate.COMMENT)
                case LineKind.SETTING:
                    return _setting(line, around)
                case LineKind.JOB if not ignored and not anacron_job(line.text):
                    return self._job(line, around, column)
            if job := anacron_job(line.text):
                raise CannotMigrate(f"is anacron's job {job[0]}, not cron's", job[1])
            raise CannotMigrate(ignored or "cron does not understand this line")
        except CannotMigrate as stays:
            return LinePlan(line, Fate.NEEDS_YOU, reason=str(stays), nearest=stays.nearest)

    def _job(self, line: Line, around: LineContext, column: bool) -> LinePlan:
        when, command = self._checked(line, around, column)
        schedule, before = self._schedule(when, around)
        command, given = split_input(command)
        shell = _shell_in(around, self._wanted.is_folder)
        if isinstance(schedule, AtStart):
            self._check_start(command)
        work: Command | None = replace(shell, argv=(*shell.argv, command), input=(given or "").encode())
        v1 = self._v1(command, given, schedule)
        name = v1 or self._name(command)
        if v1 in self._wanted.builtin:
            work = None
        zone = around.named or self._wanted.told_zone if isinstance(schedule, Cron) else ""
        fate, notes = Fate.TASK, tuple(_notes(line, command, around, schedule, self._wanted.cron))
        if work and str(work.folder) != around.environment["HOME"]:
            notes = (
                *notes,
                f"runs in {work.folder}, as under cron: there is no {around.environment['HOME']}",
            )
        if name == WAKE:
            fate, notes = (
                Fate.WAKE,
                (*notes, "gets JSON about its tasks on standard input; cron gave it nothing"),
            )
        after = self._first_runs(name, schedule, before)
        return LinePlan(line, fate, name, schedule, zone, work, before, after, notes)

    def _checked(self, line: Line, around: LineContext, column: bool) -> tuple[str, str]:
        """The time and the command; raises CannotMigrate if they cannot even be taken apart."""
        if odd := _unsupported_bytes(line.text):
            raise CannotMigrate(f"contains {odd}, which settings cannot hold", "the line without it")
        user, command = split_user(line.rest) if column else (self._wanted.user, line.rest)
        when = line.when[1:] if line.when.startswith("-*") else line.when  # cronie's mark for "not in syslog"
        if column and not user:
            raise CannotMigrate("has neither user nor command")
        if user != self._wanted.user:
            raise CannotMigrate(f"runs as {user}", f"--user {user}, for a citizen of theirs")
        if when.startswith("@every"):
            raise CannotMigrate("cron has no @every", 'every = "5m", say, in the settings')
        command = _FLAGS.sub("", command) if command.startswith("-") else command
        if not command:
            raise CannotMigrate("has no command", f"{line.text} COMMAND")
        if not when.startswith("@") and (word := sixth_field(command)):
            raise CannotMigrate(
                f"cron has five fields; the sixth here is {word}", as_setting(f"{when} {word}")
            )
        return when, command

    def _schedule(self, when: str, around: LineContext) -> tuple[Schedule, Moments]:
        """The schedule, and the next times by cron."""
        if when == "@reboot":
            return AtStart(), ()
        if around.wrong:
            raise CannotMigrate(around.wrong, "CRON_TZ=Europe/Berlin, say")
        cron, times = self._cron(when, around.zone)
        return (_interval(when) if self._wanted.every else None) or cron, times

    def _first_runs(self, name: str, schedule: Schedule, times: Moments) -> Moments:
        """The next times in a scheduler that starts now; they differ if a task of this name has run."""
        state, now = self._wanted.states.get(name), self._wanted.now
        if state is None and not isinstance(schedule, Every):
            return times
        task = Task(name, schedule, Command(()), catch_up=name == WAKE)
        return upcoming(self._wanted.citizen, task, state or TaskState(), now, now, SHOWN)

    def _cron(self, when: str, zone: tzinfo) -> tuple[Cron, Moments]:
        if (when, zone) not in self._times:  # most crontabs have few different times
            try:
                read_fields(when)
                cron = Cron(when, zone)
            except (NotCron, BadSchedule) as error:
                raise CannotMigrate(str(error), as_setting(when)) from error
            self._times[when, zone] = cron, tuple(cron.upcoming(self._wanted.now, SHOWN))
        return self._times[when, zone]

    def _check_start(self, command: str) -> None:
        """Raise CannotMigrate if a second copy would run beside cron's, at once or at a later start."""
        if leaves_a_daemon(command):
            raise CannotMigrate(
                "leaves a daemon behind, and each start of the scheduler would start one more",
                "a service, or the command in the foreground: without &, screen or setsid",
            )
        if pid := running_copy(command, self._wanted.processes()):
            raise CannotMigrate(f"cron's copy of it is running: pid {pid}", f"kill {pid}, then migrate again")

    def _v1(self, command: str, given: str | None, schedule: Schedule) -> str:
        """The name for a line of v1; empty for any other line. Raises CannotMigrate for what cannot move."""
        name = v1_name(command)
        if not name and keeps_alive(command):
            raise CannotMigrate(
                "only keeps a daemon alive", "a service, or @reboot and the command without &"
            )
        if not name:
            return ""
        if strangers := self._wanted.others.intersection(folders_in(command)):
            other = min(strangers)
            raise CannotMigrate(f"seems to belong to {other}", f"--citizen {other}")
        if name in self._given and name != WAKE:
            return ""
        if name in self._given:
            raise CannotMigrate("is a second wake", "a citizen of its own: --citizen NAME")
        if (place := self._wanted.taken.get(name)) and name not in self._wanted.builtin:
            raise CannotMigrate(
                f"{name} is set already: {place}", "the line removed here, or the table there"
            )
        if name == WAKE and isinstance(schedule, AtStart):
            raise CannotMigrate("a wake needs times, not @reboot", "*/10 * * * *")
        if name == WAKE and given:
            raise CannotMigrate(
                "a wake gets JSON on its standard input, not what follows %", "the input in its script"
            )
        self._given.add(name)
        self._used.add(name)
        return name

    def _name(self, command: str) -> str:
        """A free name, made from the command."""
        base = name_of(command)
        name, number = base, self._names.get(base, 1)
        while name in self._used:
            number += 1
            name = numbered(base, number)
        self._names[base] = number
        self._used.add(name)
        return name


def v1_name(command: str) -> str:
    """`wake`, the built-in task with the same purpose, or empty for a command that v1 did not have."""
    script = script_of(command)
    return V1_SCRIPTS.get(script[:-3], "") if script.endswith((".py", ".sh")) else ""


def _setting(line: Line, around: LineContext) -> LinePlan:
    if line.name == "CRON_TZ" and around.wrong:
        raise CannotMigrate(around.wrong, f"{line.name}=Europe/Berlin, say")
    if line.name == "LOGNAME":
        return LinePlan(line, Fate.SETTING, notes=("cron sets LOGNAME itself",))
    if not _NAME.fullmatch(line.name):
        return LinePlan(line, Fate.SETTING, notes=("is left out: no shell has a variable with this name",))
    return LinePlan(line, Fate.SETTING)


@lru_cache(maxsize=1)  # the same for most consecutive lines
def _shell_in(around: LineContext, is_folder: Callable[[Path], bool]) -> Command:
    """The shell that cron starts, without a command; raises CannotMigrate if a task cannot have it."""
    environment = around.environment
    shell, folder = environment["SHELL"], Path(environment["HOME"] or "/")
    if not shell.startswith("/"):
        raise CannotMigrate(f"SHELL is {shell or 'empty'}", "SHELL=/bin/sh")
    if not folder.is_absolute():
        raise CannotMigrate(f"HOME is {folder}", "HOME with its whole path")
    if any(map(_unsupported_bytes, environment.values())):
        raise CannotMigrate("a variable above it contains bytes that settings cannot hold", "it without them")
    place = folder if is_folder(folder) else Path("/")  # as cron does
    return Command((shell, "-c"), environment, folder=place, inherit=False)


def _unsupported_bytes(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return ""
    if "\0" in text:
        return "a NUL byte"
    return "bytes that are not UTF-8" if any("\ud800" <= each <= "\udfff" for each in text) else ""


def _interval(when: str) -> Every | None:
    """The interval that `*/n` means, if it divides the hour or the day evenly."""
    if (found := _MINUTES.fullmatch(when)) and 60 % int(found[1]) == 0:
        return Every(60.0 * int(found[1]))
    if (found := _HOURS.fullmatch(when)) and 24 % int(found[1]) == 0:
        return Every(3600.0 * int(found[1]))
    return None


def _notes(
    line: Line, command: str, around: LineContext, schedule: Schedule, cron: InstalledCron
) -> Iterable[str]:
    environment = around.environment
    if mail := environment.get("MAILTO"):
        yield f"cron mails its output to {mail}; here [alerts] reports failures"
    if isinstance(schedule, AtStart):
        yield "runs at each start of the scheduler, without a time limit, and ends with it"
        yield "cron started it at boot: if that copy still runs, stop it before the scheduler starts"
    if isinstance(schedule, Every):
        yield f"every {schedule} from its last run, not at these minutes"
    if in_background(command):
        yield "leaves something in the background; what that prints after the run has ended is lost"
    if isinstance(schedule, Cron):
        yield from _zone_notes(around, cron)
    if environment.get("RANDOM_DELAY"):
        yield "cronie starts it up to RANDOM_DELAY minutes later: set jitter"
    if line.raw.endswith(b"\r\n"):
        yield "ends in CRLF; cron gives the carriage return to the shell, the scheduler does not"


def _zone_notes(around: LineContext, cron: InstalledCron) -> Iterable[str]:
    """Notes on a zone, where the command or another cron would read other times."""
    if around.environment.get("TZ"):
        yield "TZ is for the command alone: no cron reads times in it"
    if around.named and cron.reads_zone is None:
        yield "its times are read in CRON_TZ, as cronie does; Debian's cron reads them in the machine's zone"
    if around.environment.get("CRON_TZ") and cron.reads_zone is False:
        yield f"its times are in the machine's zone: {cron.program} does not know CRON_TZ"
