"""The original flags: `./core.py --citizen opus --status`."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import click

from scheduler import background
from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import config_file, names_in, seconds, successor_of
from scheduler.cli.queries.status import print_status, status_text
from scheduler.cli.standard_error import print_to_stderr
from scheduler.core.ports import FleetOptions
from scheduler.core.wording.text import clean
from scheduler.system.version import VERSION


class Options(SimpleNamespace):
    """The flags of one core.py command, under the names that click gives them."""

    citizen: str | None

    @property
    def name(self) -> str:
        if self.citizen is None:
            raise click.UsageError("which citizen? Add --citizen NAME")
        return self.citizen

    @property
    def only(self) -> tuple[str, ...]:
        return names_in((self.citizen or "",))

    @property
    def fleet(self) -> FleetOptions:
        """The citizen, and which parts of it the loop or a single wake runs."""
        return FleetOptions(
            config=self.config,
            only=names_in((self.name,)),
            interval=self.interval,
            background=not self.no_background,
            wakes=not self.background_only,
            own_as_root=self.own_as_root,
            successor_of=self.successor_of,
        )


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
@click.option("--take-over", is_flag=True, help="With --all: what a monitor runs goes on in the background.")
@click.option("--interval", callback=seconds, metavar="SECONDS", help="Time between wakes; with --loop.")
@click.option("--background-only", is_flag=True, help="Run tasks, but no wakes.")
@click.option("--no-background", is_flag=True, help="Run wakes, but no tasks.")
@click.option("--log-json", is_flag=True, help="Log lines as JSON.")
@click.option("--own-as-root", is_flag=True, help="As root, run other users' citizens, too.")
@successor_of
@click.version_option(VERSION, prog_name="Experience")
def core(**flags: Any) -> int:
    """Run, watch and control the background tasks of a citizen."""
    options = Options(**flags)
    chosen = [verb for verb in VERBS if getattr(options, verb)]
    if len(chosen) > 1:
        raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    if options.background_only and options.no_background:
        raise click.UsageError("--background-only and --no-background leave nothing to do")
    if options.interval is not None and not options.loop:
        print_to_stderr(["--interval has no effect without --loop"])
    return VERBS[chosen[0] if chosen else "wake"](options)


def _status(options: Options) -> int:
    return print_status((options.citizen,) if options.citizen else (), options.config)


def _loop(options: Options) -> int:
    from scheduler.runtime.headless import run_headless

    return run_headless(options.fleet, log_json=options.log_json)


def _wake(options: Options) -> int:
    from scheduler.runtime.headless import run_once

    fleet = replace(options.fleet, wakes=True)  # a person asked for it, even with --background-only
    return run_once(fleet, wake=not options.background_only, log_json=options.log_json)


def _interactive(options: Options) -> int:
    from scheduler.cli.interactive import interact

    def status() -> str:
        return status_text([background.read_citizen(options.name, options.config)], alone=True)

    status()  # an unknown citizen ends the command here, before the prompt
    interact(options.name, options.config, status)
    return OK


def _force(options: Options) -> int:
    from scheduler.control.session import outcome_of

    scheduler = background.get_scheduler(options.name, options.config, options.own_as_root)
    ended = scheduler.run_now(options.force or "")
    click.echo(clean(outcome_of(ended)))
    return OK if ended.outcome and ended.outcome.done else FAILED


def _reset(options: Options) -> int:
    scheduler = background.get_scheduler(options.name, options.config, options.own_as_root)
    click.echo(scheduler.reset(options.reset or "").text)
    return OK


def _all(options: Options) -> int:
    from scheduler.runtime.background_loops import start_all

    how = {name: getattr(options, name) for name in ("own_as_root", "log_json", "take_over")}
    return start_all(options.config, options.only, **how)


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
