"""The command `experience-tui`: parse the arguments, then run the monitor or the scheduler alone."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import seconds

if TYPE_CHECKING:
    from tui.app import ExperienceApp

NO_TERMINAL = "experience-tui: this is not a terminal; use --no-ui to run the scheduler without a screen"

# Where each subcommand is defined.
COMMANDS = {
    "add": "scheduler.cli.setup.edit:add_command",
    "budget": "scheduler.cli.verbs.budget:budget_command",
    "check": "scheduler.cli.looks.check:check_command",
    "completion": "scheduler.cli.completion:completion_command",
    "cost": "scheduler.cli.looks.cost:cost_command",
    "disable": "scheduler.cli.setup.edit:disable_command",
    "enable": "scheduler.cli.setup.edit:enable_command",
    "force": "scheduler.cli.verbs.force:force_command",
    "history": "scheduler.cli.looks.history:history_command",
    "init": "scheduler.cli.setup.init:init_command",
    "migrate": "scheduler.cli.setup.migrate:migrate_command",
    "next": "scheduler.cli.looks.next:next_command",
    "pause": "scheduler.cli.verbs.pause:pause_command",
    "remove": "scheduler.cli.setup.edit:remove_command",
    "reset": "scheduler.cli.verbs.steer:reset_command",
    "restore": "scheduler.cli.setup.restore:restore_command",
    "resume": "scheduler.cli.verbs.pause:resume_command",
    "schema": "scheduler.cli.completion:schema_command",
    "serve": "tui.serve.command:serve_command",
    "service": "scheduler.cli.setup.service:service_command",
    "status": "scheduler.cli.looks.status:status_command",
    "stop": "scheduler.cli.verbs.stop:stop_command",
    "undo": "scheduler.cli.setup.edit:undo_command",
    "wake": "scheduler.cli.verbs.steer:wake_command",
}


class Commands(click.Group):
    """Runs the monitor or the named subcommand; imports a subcommand only when it is used."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=Commands,
    commands={name: click.Command(name) for name in COMMANDS},  # the names for the help and "did you mean"
    invoke_without_command=True,
    epilog="Example: experience-tui --citizen opus",
)
@click.option(
    "--citizen",
    "citizens",
    multiple=True,
    metavar="NAME",
    help="Only this citizen; repeatable.",
    shell_complete=citizens,
)
@click.option("--no-ui", is_flag=True, help="Run the scheduler without a screen.")
@click.option("--interval", callback=seconds, metavar="SECONDS", help="Time between wakes.")
@click.option(
    "--demo", is_flag=True, help="Made-up citizens: nothing real is touched, time runs 15 times as fast."
)
@click.option("--read-only", is_flag=True, help="Only watch: own nothing, change nothing.")
@click.option("--attach", is_flag=True, help="Own nothing: attach to what other processes run.")
@click.option("--ascii", is_flag=True, help="Draw with plain ASCII.")
@click.option("--log-json", is_flag=True, help="With --no-ui: log lines as JSON.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The settings file."
)
@click.option("--own-as-root", is_flag=True, help="As root, run other users' citizens, too.")
@click.pass_context
def monitor(context: click.Context, /, **options: Any) -> int:
    """The live monitor of every citizen, with the scheduler inside."""
    if context.invoked_subcommand is not None:
        return 0
    if options["no_ui"]:
        return _headless(**options)
    if not _on_terminal():
        click.echo(NO_TERMINAL, err=True)
        return 2
    return _demo(**options) if options["demo"] else _monitor(**options)


def main() -> None:
    """The console script."""
    from scheduler.cli.main import run

    raise SystemExit(run(monitor, None, "experience-tui"))


def _on_terminal() -> bool:
    """Whether Textual can read keys and draw; another driver (`serve`) needs no terminal."""
    return "TEXTUAL_DRIVER" in os.environ or all(
        stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.__stderr__)
    )


def _headless(**options: Any) -> int:
    for other in ("demo", "read_only", "attach"):
        if options[other]:
            flag = other.replace("_", "-")
            raise click.UsageError(f"--no-ui runs real citizens; it excludes --{flag}")
    from scheduler.core.ports import FleetOptions
    from scheduler.runtime.headless import run_headless

    names = ("config", "interval", "own_as_root")
    fleet = FleetOptions(only=tuple(options["citizens"]), **{name: options[name] for name in names})
    return run_headless(fleet, log_json=options["log_json"])


def _demo(*, read_only: bool, ascii: bool, **_: Any) -> int:
    from tui.app import ExperienceApp
    from tui.demo.fleet import DemoFleet

    return _run_app(ExperienceApp(DemoFleet(), read_only=read_only, ascii=_is_plain(ascii), label="DEMO"))


def _monitor(*, read_only: bool, ascii: bool, attach: bool, **options: Any) -> int:
    from scheduler.config.loader import peek
    from scheduler.control.threaded import FleetThread
    from scheduler.core.ports import FleetOptions
    from scheduler.executors.stdout_capture import capture_prints
    from scheduler.process.startup import prepare_process
    from scheduler.runtime.log_output import log_lines
    from tui.app import ExperienceApp
    from tui.terminal.signals import Endings

    prepare_process()
    _refuse_unknown(options["citizens"], options["config"])
    chosen = FleetOptions(
        config=options["config"],
        only=options["citizens"],
        interval=options["interval"],
        own=not (read_only or attach),
        own_as_root=options["own_as_root"],
        create=not (read_only or attach),
        strict=False,
    )
    ui = peek(options["config"])
    with log_lines(None) as on_home, capture_prints():
        fleet = FleetThread(chosen, on_home)
        Endings(fleet.stop_now)
        try:
            plain = _is_plain(ascii or ui.ascii)
            return _run_app(ExperienceApp(fleet, read_only=read_only, ascii=plain, monitor=ui))
        finally:
            fleet.stop(_print_line)


def _refuse_unknown(names: Sequence[str], config: Path | None) -> None:
    """Report a misspelt name on the command line, before a screen opens; without names read nothing."""
    if names:
        from scheduler.config.loader import load
        from scheduler.errors import UnknownCitizen

        settings = load(config=config, only=names)
        for name in names:
            if name not in settings.known:
                raise UnknownCitizen(name, settings.known)


def _print_line(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        click.echo(line, err=True)


def _is_plain(wanted: bool) -> bool:
    """Whether to draw in ASCII: if it is wanted, and in a terminal whose encoding lacks our signs."""
    from tui.glyphs import can_draw

    return wanted or not can_draw(getattr(sys.__stderr__, "encoding", "utf-8"))  # where Textual writes


def _run_app(app: "ExperienceApp") -> int:
    """Run the monitor; returns its exit code, also after a crash."""
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    main()
