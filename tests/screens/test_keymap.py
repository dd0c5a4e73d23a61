"""Every key has a name, the settings know all of them, and the screen obeys what they say."""

import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from textual.binding import Binding
from textual.dom import DOMNode

import tui
from scheduler.core.ui_options import KEYS, Monitor
from scheduler.core.views import Snapshot, TaskStatus
from tests.each import each
from tests.fakes import FakeControl, FakeFleet
from tests.screens.driving import press, screen, shown, toasts
from tests.screens.situations import events, failed, task
from tui.fleet.notices import NewFailures
from tui.fleet.summary import FleetStatus
from tui.terminal.title import TerminalTitle, title

# Answers and ways to close, on dialogs that say so themselves: they are what they are.
ANSWERS = {"Confirm", "Question", "Form", "FreezeForm", "Toggle", "Help", "Palette"}


def bindings() -> Iterator[tuple[str, Binding]]:
    """Each binding of each of our screens, panels and dialogs, and the class it is written in."""
    found = (each.name for each in pkgutil.walk_packages(tui.__path__, "tui."))
    for module in (name for name in found if not name.startswith(("tui.serve.", "tui.__main__"))):
        for name, value in vars(import_module(module)).items():
            ours = isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module
            for binding in value.__dict__.get("BINDINGS", []) if ours else []:
                assert isinstance(binding, Binding), f"{name}: {binding} has no name"
                yield name, binding


def test_every_key_has_a_name_that_the_settings_know_and_the_same_key_everywhere():
    named: dict[str, set[str]] = {}
    for where, binding in bindings():
        if where not in ANSWERS:
            assert binding.id, f"{where}: {binding.key} has no id"
            named.setdefault(binding.id, set()).add(binding.key)
    known: dict[str, set[str]] = {}
    for names in KEYS.values():
        for name, keys in names.items():
            known.setdefault(name, set()).add(keys)
    assert named == known, "scheduler/monitor.py: KEYS is what settings know of the bindings"


def test_the_manual_names_every_key_as_it_is():
    manual = (Path(__file__).parents[2] / "docs" / "monitor.md").read_text()
    spelled = {
        "question_mark": "?",
        "slash": "/",
        "ampersand": "&",
        "colon": ":",
        "plus": "+",
        "minus": "-",
        "equals_sign": "=",
    }
    for names in KEYS.values():
        for name, keys in names.items():
            shown = " ".join(f"`{spelled.get(key, key)}`" for key in keys.split(","))
            assert f"\n| {shown} | `{name}` | " in manual


def test_every_key_says_in_the_help_what_it_does():
    silent = [f"{where}: {each.key}" for where, each in bindings() if not (each.tooltip or each.description)]
    assert silent == []


async def test_a_key_from_the_settings_replaces_the_one_that_was_there():
    control = FakeControl(Snapshot("opus", (task("tick"),)))
    fleet = FakeFleet(control, monitor=Monitor(keys={"force": "x", "help": "h"}))
    async with screen(fleet, size=(100, 60)) as pilot:
        await press(pilot, "f")
        assert control.asked == []
        await press(pilot, "x")
        assert control.asked == [("force", "tick")]
        assert "x force" in shown(pilot) and "h help" in shown(pilot)
        await press(pilot, "h")
        assert "x          force: run the task now" in shown(pilot)


async def test_sentences_name_the_keys_as_they_are_now():
    moved = Monitor(keys={"last": "e,f8", "clear": "f9", "help": "h", "quit": "Q"})
    async with screen(FakeFleet(root="/srv", monitor=moved), size=(100, 40)) as pilot:
        assert "h help  Q quit" in shown(pilot)
    happened = events("opus", *((n, "started", "tick", None, "") for n in range(3)))
    fleet = FakeFleet(FakeControl(Snapshot("opus", (task("tick"),), events=happened)), monitor=moved)
    async with screen(fleet) as pilot:
        await press(pilot, "slash", *"zzz", "enter")
        assert "(f9 shows everything)" in shown(pilot)
        await press(pilot, "f9", "l", "up")
        assert "e follows again" in shown(pilot)
        await press(pilot, "e")
        assert "following" in shown(pilot)


async def test_changed_settings_are_obeyed_at_once():
    fleet = FakeFleet(FakeControl(Snapshot("opus", (task("tick"),))))
    async with screen(fleet) as pilot:
        assert pilot.app.theme == "experience-dark"
        fleet.show(replace(fleet.view, monitor=Monitor(keys={"force": "x"}, theme="high-contrast")))
        await pilot.pause()
        await pilot.pause()
        assert pilot.app.theme == "experience-high-contrast" and "x force" in shown(pilot)
        await press(pilot, "T")
        fleet.show(replace(fleet.view, problems=("x",)))
        await pilot.pause()
        assert pilot.app.theme == "experience-ansi", "what is chosen by hand stays"


@each("at_start", [Monitor(theme="light", keys={"quit": "Q"})])
async def test_the_first_frame_is_as_the_settings_say(at_start):
    async with screen(FakeFleet(loading=True), monitor=at_start) as pilot:
        assert pilot.app.theme == "experience-light" and "Q quit" in shown(pilot)


# ------------------------------------------------------------------ the terminal around it


def test_the_title_says_what_fails_and_what_runs():
    assert title(FleetStatus(failing=2, running=1), plain=False) == "2 failing · 1 running · Experience"
    assert title(FleetStatus(), plain=True) == "Experience"


def test_the_title_is_written_when_it_changes_and_given_back_at_the_end():
    terminal = TerminalTitle()
    assert terminal.give_back() == ""
    assert terminal.change("one") == "\x1b[22;2t\x1b]2;one\x07"
    assert terminal.change("one") == ""
    assert terminal.change("two") == "\x1b]2;two\x07"
    assert terminal.give_back() == "\x1b]2;\x07\x1b[23;2t"
    assert terminal.give_back() == ""


def test_a_failure_is_new_once():
    failures, calm = NewFailures(), Snapshot("opus", (task("a"), task("b")))
    one = Snapshot("opus", (failed("a", "x"), task("b")))
    both = Snapshot("opus", (failed("a", "y"), failed("b", "x")))
    seen = [failures.has_more(each) for each in (one, one, calm, one, one, both, both, one, calm)]
    assert seen == [False, False, False, True, False, True, False, False, False]


@each(("bell", "rings"), [(True, 1), (False, 0)])
async def test_the_bell_rings_for_a_new_failure_if_it_is_wanted(bell, rings):
    control = FakeControl(Snapshot("opus", (task("tick"), failed("old", "x"))))
    fleet = FakeFleet(control, monitor=Monitor(bell=bell))
    async with screen(fleet) as pilot:
        rung = []
        pilot.app.bell = lambda: rung.append(True)
        control.show(replace(control.snapshot, tasks=(failed("tick", "no"), failed("old", "x"))))
        await pilot.pause()
        assert len(rung) == rings
        assert pilot.app._summary.status().failing == 2 and toasts(pilot) == [] and TaskStatus.FAILED
