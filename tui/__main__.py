"""The command `experience-tui`: parse the arguments, then run the monitor or the scheduler alone."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import config_file, names_in, seconds, successor_of
from scheduler.errors import PROGRAM, nearest
from scheduler.system.version import VERSION

if TYPE_CHECKING:
    from scheduler.control.threaded import FleetThread
    from scheduler.core.editor import Editor
    from tui.app import ExperienceApp
    from tui.lessons.start_here import Beginning
    from tui.terminal.signals import Endings

NO_TERMINAL = "experience: this is not a terminal; use --no-ui to run the scheduler without a screen"

# Where each subcommand is defined.
COMMANDS = {
    "add": "scheduler.cli.setup.edit:add_command",
    "alert": "scheduler.cli.verbs.alert:alert_command",
    "budget": "scheduler.cli.verbs.budget:budget_command",
    "check": "scheduler.cli.queries.check:check_command",
    "completion": "scheduler.cli.completion:completion_command",
    "cost": "scheduler.cli.queries.cost:cost_command",
    "disable": "scheduler.cli.setup.edit:disable_command",
    "doctor": "scheduler.cli.queries.doctor:doctor_command",
    "down": "scheduler.cli.verbs.loops:down_command",
    "engine": "scheduler.cli.setup.engine:engine_command",
    "enable": "scheduler.cli.setup.edit:enable_command",
    "force": "scheduler.cli.verbs.force:force_command",
    "freeze": "scheduler.cli.verbs.freeze:freeze_command",
    "history": "scheduler.cli.queries.history:history_command",
    "init": "scheduler.cli.setup.init:init_command",
    "logs": "scheduler.cli.queries.logs:logs_command",
    "loop": "scheduler.cli.verbs.loops:loop_command",
    "migrate": "scheduler.cli.setup.migrate:migrate_command",
    "next": "scheduler.cli.queries.next:next_command",
    "pause": "scheduler.cli.verbs.pause:pause_command",
    "providers": "scheduler.cli.queries.providers:providers_command",
    "remove": "scheduler.cli.setup.edit:remove_command",
    "reset": "scheduler.cli.verbs.reset:reset_command",
    "restore": "scheduler.cli.setup.restore:restore_command",
    "resume": "scheduler.cli.verbs.pause:resume_command",
    "schema": "scheduler.cli.queries.schema:schema_command",
    "serve": "tui.serve.command:serve_command",
    "service": "scheduler.cli.setup.service:service_command",
    "status": "scheduler.cli.queries.status:status_command",
    "stop": "scheduler.cli.verbs.stop:stop_command",
    "thaw": "scheduler.cli.verbs.freeze:thaw_command",
    "undo": "scheduler.cli.setup.edit:undo_command",
    "up": "scheduler.cli.verbs.loops:up_command",
    "wake": "scheduler.cli.verbs.wake:wake_command",
    "worker": "scheduler.cli.verbs.worker:worker_command",
}


class Commands(click.Group):
    """Runs the monitor, the named subcommand, or the loop of a citizen; imports only what that needs."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS:
            return super().resolve_command(ctx, args)
        if name == "help":
            click.echo(ctx.get_help())
            ctx.exit()
        known = _known_citizens(ctx.params.get("config"))
        near = nearest(name, [*COMMANDS, *known])
        if name in known or not (known or near):  # the first start creates the citizen
            return name, self.get_command(ctx, "loop"), args
        hint = f"; did you mean {near}?" if near else f"; see {PROGRAM} help"
        raise click.UsageError(f"{name!r} is no command and no citizen{hint}", ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


def _known_citizens(config: Path | None) -> tuple[str, ...]:
    from scheduler.config.loader import load

    return load(config=config, only=("",)).known  # only the names


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    commands={name: click.Command(name) for name in COMMANDS},  # the names for the help and "did you mean"
    invoke_without_command=True,
    epilog="Example: experience-tui --citizen opus",
)
@click.option(
    "--citizen",
    "citizens",
    multiple=True,
    metavar="NAME",
    help="Only this citizen; repeatable, or a comma-separated list.",
    shell_complete=citizens,
    callback=lambda context, option, words: names_in(words),
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
@config_file
@click.option("--own-as-root", is_flag=True, help="As root, run other users' citizens, too.")
@successor_of
@click.option("--all", is_flag=True, hidden=True)  # as run.sh and core.py take them
@click.option("--stop", is_flag=True, hidden=True)
@click.option("--status", is_flag=True, hidden=True)
@click.version_option(VERSION, prog_name="Experience")
@click.pass_context
def monitor(context: click.Context, /, **options: Any) -> int:
    """The live monitor of every citizen, with the scheduler inside."""
    if context.invoked_subcommand is not None:
        return 0
    for flag, verb in (("all", "up"), ("stop", "down"), ("status", "status")):
        if options[flag]:
            command = monitor.get_command(context, verb)
            assert command
            code: int = context.invoke(command, names=options["citizens"], config=options["config"])
            return code
    if options["no_ui"]:
        return _headless(**options)
    if not _on_terminal():
        click.echo(NO_TERMINAL, err=True)
        return 2
    return _demo(**options) if options["demo"] else _monitor(**options)


def main() -> None:
    """The console script."""
    from scheduler.process.garbage_collection import hold_collections

    hold_collections()
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

    names = ("config", "interval", "own_as_root", "successor_of")
    fleet = FleetOptions(only=tuple(options["citizens"]), **{name: options[name] for name in names})
    return run_headless(fleet, log_json=options["log_json"])


def _demo(*, read_only: bool, ascii: bool, **_: Any) -> int:
    from scheduler.process.garbage_collection import collect_as_usual
    from tui.app import ExperienceApp
    from tui.demo.fleet import SPEED, DemoFleet
    from tui.terminal.chosen_theme import ChosenTheme

    collect_as_usual()
    label = f"DEMO {SPEED:g}x"  # the demo's clock is not wall clock time
    chosen, plain = ChosenTheme.of_user(), _is_plain(ascii)
    return _run_app(ExperienceApp(DemoFleet(), read_only=read_only, ascii=plain, label=label, chosen=chosen))


def _monitor(*, read_only: bool, ascii: bool, attach: bool, **options: Any) -> int:
    from scheduler.config.loader import peek
    from scheduler.control.threaded import FleetThread
    from scheduler.core.ports import FleetOptions
    from scheduler.executors.stdout_capture import capture_prints
    from scheduler.process.startup import prepare_process
    from scheduler.runtime.closing_lines import successor
    from scheduler.runtime.log_output import log_lines
    from tui.app import ExperienceApp
    from tui.terminal.chosen_theme import ChosenTheme
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
        fleet = FleetThread(chosen, on_home, successor(chosen, os.getpid()))
        endings = Endings(fleet.stop_now)
        plain, editor = _is_plain(ascii or ui.ascii), partial(_editor, options["config"])
        begin, theme = _beginning(), ChosenTheme.of_user()
        app = ExperienceApp(
            fleet, read_only=read_only, ascii=plain, editor=editor, beginning=begin, monitor=ui, chosen=theme
        )
        try:
            return _run_app(app)
        finally:
            _close(fleet, endings, app.return_value)


def _editor(config: Path | None) -> "Editor":
    """The editor for settings; none in a browser, which may be far away and has no editor."""
    from scheduler.editing.editor import FileEditor

    in_browser = "TEXTUAL_DRIVER" in os.environ
    return FileEditor(config, "settings are changed in a terminal, not in a browser" if in_browser else "")


def _beginning() -> "Beginning":
    """What the first steps need: this user's crontab, and the file that notes that they were hidden."""
    from platformdirs import user_state_path

    from tui.lessons.start_here import Beginning

    return Beginning(_lines_of_cron, user_state_path("experience") / "start-here-hidden")


def _lines_of_cron() -> int:
    from scheduler.migration.crontab import jobs_of_this_user

    return jobs_of_this_user()


def _close(fleet: "FleetThread", endings: "Endings", choice: object) -> None:
    """Stop what runs here, or hand it on, and print what runs now; `choice` is the answer to the question."""
    from scheduler.core.ports import HandedOver
    from scheduler.core.ui_options import KEEP
    from scheduler.runtime.closing_lines import closing_lines

    endings.screen_is_gone()
    owners, done = fleet.owners(), HandedOver()
    owned = [name for name, owner in owners.items() if owner == "here"]
    if choice == KEEP or (endings.hung_up and fleet.on_close == KEEP):
        done = fleet.hand_over(_print_line)
        if done.kept and endings.hung_up:  # no terminal can show why: keep running, do not stop in silence
            endings.wait_for_another(fleet.leave)
            fleet.stay()
    fleet.stop(_print_line)
    for line in closing_lines(owned, owners, done):
        _print_line(line)


def _refuse_unknown(names: Sequence[str], config: Path | None) -> None:
    """Report a misspelt name on the command line before a screen opens; without names, read nothing."""
    if names:
        from scheduler.config.loader import load

        load(config=config, only=names).chosen(names)


def _print_line(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        click.echo(line, err=True)


def _is_plain(wanted: bool) -> bool:
    """Whether to draw in ASCII: on request, or when the terminal's encoding lacks our signs."""
    from tui.glyphs import can_draw

    return wanted or not can_draw(getattr(sys.__stderr__, "encoding", "utf-8"))  # where Textual writes


def _run_app(app: "ExperienceApp") -> int:
    """Run the monitor; returns its exit code, also after a crash."""
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    main()
