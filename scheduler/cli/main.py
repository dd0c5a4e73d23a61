"""The command line: core.py's flags, and how a command ends: its exit code, its one line per error."""

import codecs
import io
import json
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.core.text import ASCII_GLYPHS, GLYPHS, clean, failing, lines
from scheduler.core.views import Snapshot
from scheduler.errors import BadSettings, SchedulerError, UnknownCitizen

if TYPE_CHECKING:
    from scheduler.config.loader import CitizenSettings
    from scheduler.core.ports import FleetOptions

OK, FAILED, WRONG = 0, 1, 2  # exit codes: fine, a task's last run failed, an error
# Without a log, Python would print its warnings beside the one line for the error.
QUIET = logging.NullHandler()


def main(argv: Sequence[str] | None = None) -> int:
    """Run core.py's command line; gives the exit code."""
    return run(core, argv)


def run(command: click.Command, argv: Sequence[str] | None = None, name: str | None = None) -> int:
    """Run a click command; an error that a person can cause is one line, not a traceback."""
    _replace_unprintable()
    logging.getLogger("experience").addHandler(QUIET)
    try:
        return command.main(argv, prog_name=name, standalone_mode=False) or OK
    except click.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG
    except click.ClickException as error:
        return _print_errors(error.format_message())
    except BadSettings as error:
        return _print_errors(*error.problems)
    except SchedulerError as error:
        _print_errors(str(error))
        return error.exit_code
    except OSError as error:  # without a name it is the output: a full disk, a closed terminal
        return _print_errors(f"{error.filename or 'the output'}: {error.strerror or error}")


# ------------------------------------------------------------------ subcommands of experience-tui


@click.command("status", epilog="Example: experience-tui status opus mira")
@some_citizens
@config_file
@as_document
def status_command(names: tuple[str, ...], config: Path | None, as_json: bool) -> int:
    """Show the last and the next run of every task. Asks owners, else reads files.

    Exit code 1 if the last run of any task failed.
    """
    return _print_status(names, config, as_json)


@click.command("check", epilog="Example: experience-tui check --config /etc/experience/experience.toml")
@some_citizens
@config_file
@as_document
def check_command(names: tuple[str, ...], config: Path | None, as_json: bool) -> int:
    """Report every mistake in the settings, all at once.

    With names, only those of these citizens.
    """
    from scheduler.config.loader import load

    settings = load(config=config, only=names)
    for name in names:
        if name not in settings.known:
            raise UnknownCitizen(name, settings.known)
    chosen = [each for each in settings.citizens if not names or each.name in names]
    of_citizens = [line for each in chosen for line in (*each.problems, *each.refused)]
    problems = dict.fromkeys((*settings.problems, *settings.monitor.problems, *of_citizens))
    if as_json:
        click.echo(
            json.dumps(
                {"problems": list(problems), "citizens": [_checked(each) for each in chosen]}, indent=2
            )
        )
        return WRONG if problems else OK
    if problems:
        return _print_errors(*problems)
    for citizen in chosen:
        waiting = _checked(citizen)["not_set_up"]
        rest = f", not set up: {', '.join(waiting)}" if waiting else ""
        number = len(citizen.tasks)
        click.echo(f"{citizen.name}: {number} task{'' if number == 1 else 's'}{rest}")
    click.echo("the settings are fine")
    return OK


def _checked(citizen: "CitizenSettings") -> dict[str, Any]:
    return {
        "citizen": citizen.name,
        "tasks": [task.name for task in citizen.tasks],
        "not_set_up": [task.name for task in citizen.tasks if not task.set_up],
        "problems": [*citizen.problems, *citizen.refused],
    }


# ------------------------------------------------------------------ the original flags


class Options(SimpleNamespace):
    """The flags of one call of core.py, under the names that click gives them."""

    citizen: str | None

    @property
    def name(self) -> str:
        if self.citizen is None:
            raise click.UsageError("which citizen? Add --citizen NAME")
        return self.citizen

    @property
    def only(self) -> tuple[str, ...]:
        return (self.citizen,) if self.citizen else ()

    @property
    def fleet(self) -> "FleetOptions":
        """The citizen, and how much of it the loop or a single wake runs."""
        from scheduler.core.ports import FleetOptions

        return FleetOptions(
            config=self.config,
            only=(self.name,),
            interval=self.interval,
            background=not self.no_background,
            wakes=not self.background_only,
            own_as_root=self.own_as_root,
        )


def seconds(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """The seconds of an option's duration; for click."""
    from scheduler.core.schedules.schedule import Every, duration

    return None if text is None else Every(duration(text)).seconds


@click.command(
    "core.py",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: ./core.py --citizen opus --status",
)
@click.option("--citizen", metavar="NAME", help="The citizen.")
@config_file
@click.option("--status", is_flag=True, help="Print the last and the next run of every task.")
@click.option("--loop", is_flag=True, help="Run tasks and wakes until stopped.")
@click.option("--wake", is_flag=True, help="Run what is due, then wake the citizen (the default).")
@click.option(
    "--interactive",
    is_flag=True,
    help="A Python prompt with background_status, background_force and background_reset.",
)
@click.option("--force", metavar="TASK", help="Run this task now.")
@click.option("--reset", metavar="TASK", help="Forget its last run and error; it is due at the next check.")
@click.option("--all", is_flag=True, help="Start every citizen's loop, each in its own screen session.")
@click.option("--stop", is_flag=True, help="Stop those loops.")
@click.option("--interval", callback=seconds, metavar="SECONDS", help="Time between wakes; with --loop.")
@click.option("--background-only", is_flag=True, help="Run tasks, but no wakes.")
@click.option("--no-background", is_flag=True, help="Run wakes, but no tasks.")
@click.option("--log-json", is_flag=True, help="Log lines as JSON.")
@click.option("--own-as-root", is_flag=True, help="As root, run other users' citizens, too.")
def core(**flags: Any) -> int:
    """Run, watch and control the background tasks of a citizen."""
    options = Options(**flags)
    chosen = [verb for verb in VERBS if getattr(options, verb)]
    if len(chosen) > 1:
        raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    if options.background_only and options.no_background:
        raise click.UsageError("--background-only and --no-background leave nothing to do")
    return VERBS[chosen[0] if chosen else "wake"](options)


def _status(options: Options) -> int:
    return _print_status((options.citizen,) if options.citizen else (), options.config)


def _loop(options: Options) -> int:
    from scheduler.runtime.headless import run_headless

    return run_headless(options.fleet, log_json=options.log_json)


def _wake(options: Options) -> int:
    from scheduler.runtime.headless import run_once

    fleet = replace(options.fleet, wakes=True)  # by hand, also with --background-only
    return run_once(fleet, wake=not options.background_only, log_json=options.log_json)


def _interactive(options: Options) -> int:
    from scheduler.background import read_citizen
    from scheduler.cli.interactive import interact

    name = options.name
    read_citizen(name, options.config)  # an unknown citizen ends here, before the prompt
    interact(name, options.config, lambda: _status_text([read_citizen(name, options.config)], alone=True))
    return OK


def _force(options: Options) -> int:
    from scheduler.background import background_force

    click.echo(background_force(options.force or "", options.name, options.config, options.own_as_root))
    return _code_of(options)


def _reset(options: Options) -> int:
    from scheduler.background import background_reset

    click.echo(background_reset(options.reset or "", options.name, options.config, options.own_as_root))
    return _code_of(options)


def _all(options: Options) -> int:
    from scheduler.runtime.background_loops import start_all

    return start_all(options.config, options.only, own_as_root=options.own_as_root, log_json=options.log_json)


def _stop(options: Options) -> int:
    from scheduler.runtime.background_loops import stop_all

    return stop_all(options.config, options.only)


VERBS: dict[str, Callable[[Options], int]] = {
    "status": _status,
    "loop": _loop,
    "wake": _wake,
    "interactive": _interactive,
    "force": _force,
    "reset": _reset,
    "all": _all,
    "stop": _stop,
}


# ------------------------------------------------------------------ words on the terminal


def _print_status(names: tuple[str, ...], config: Path | None, as_json: bool = False) -> int:
    from scheduler.background import read_citizens

    snapshots = read_citizens(names, config)
    _print_to_stderr(problem for snapshot in snapshots for problem in snapshot.problems)
    if as_json:
        click.echo(json.dumps([asdict(snapshot) for snapshot in snapshots], indent=2))
    else:
        click.echo(_status_text(snapshots, alone=len(names) == 1))
    if any(one.problems and not one.tasks for one in snapshots):
        return WRONG
    return FAILED if any(map(failing, snapshots)) else OK


def _status_text(snapshots: Iterable[Snapshot], alone: bool) -> str:
    from scheduler.system.clock import SystemClock

    now = SystemClock.now()
    title = "BACKGROUND TASKS"
    blocks = [lines(one, now, title if alone else f"{title}: {one.citizen}") for one in snapshots]
    return (
        "\n\n".join("\n".join(block) for block in blocks) or "no citizens yet: ./run.sh opus makes the first"
    )


def _code_of(options: Options) -> int:
    from scheduler.background import read_citizen

    return FAILED if failing(read_citizen(options.name, options.config)) else OK


def _print_to_stderr(problems: Iterable[str]) -> None:
    for problem in problems:  # most are one line; the advice on what to set up is the lines to add
        click.echo("experience: " + "\n".join(map(clean, problem.split("\n"))), err=True)


def _print_errors(*problems: str) -> int:
    _print_to_stderr(problems)
    return WRONG


def _replace_unprintable() -> None:
    """A terminal with an old encoding shows a sign that it lacks in ASCII, any other letter as `?`."""
    codecs.register_error("ascii_signs", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ascii_signs")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = {sign: ASCII_GLYPHS[kind] for kind, sign in GLYPHS.items()}
    return "".join(signs.get(each, "?") for each in error.object[error.start : error.end]), error.end
