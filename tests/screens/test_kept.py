"""What outlives a monitor: the theme that was chosen, and pictures of the screen."""

import os
import stat
from pathlib import Path

import pytest
from textual.color import Color
from textual.css import stylesheet

from scheduler.core.ui_options import Monitor
from scheduler.core.views import Snapshot
from tests.each import each
from tests.fakes import NOON, FakeControl, FakeFleet
from tests.screens.driving import press, screen, toasts
from tests.screens.situations import task
from tui.terminal.chosen_theme import ChosenTheme
from tui.terminal.picture import save_picture
from tui.theme import HIGH_CONTRAST, LIGHT


def fleet(**more) -> FakeFleet:
    return FakeFleet(FakeControl(Snapshot("opus", (task("tick"),))), **more)


async def test_a_theme_that_was_chosen_is_there_after_the_next_start(tmp_path):
    chosen = ChosenTheme(tmp_path / "state" / "theme.json")
    async with screen(fleet(), chosen=chosen) as pilot:
        await press(pilot, "T")
        assert pilot.app.theme == "experience-light" and toasts(pilot) == ["theme: light"]
    assert stat.S_IMODE(chosen.path.stat().st_mode) == 0o600
    async with screen(fleet(), chosen=chosen) as pilot:
        assert pilot.app.theme == "experience-light" and toasts(pilot) == []


async def test_rules_are_parsed_once_at_the_start_and_once_more_in_other_colours(monkeypatch):
    parsed, parse = [], stylesheet.parse

    def counted(scope, css, read_from, **more):
        parsed.append(Path(read_from[0]).name)
        return parse(scope, css, read_from, **more)

    monkeypatch.setattr(stylesheet, "parse", counted)
    light = Monitor(theme="light")
    async with screen(fleet(monitor=light), monitor=light) as pilot:
        assert parsed.count("app.tcss") == 1, "8 ms of the first frame"
        assert pilot.app.screen.styles.background == Color.parse(LIGHT.background)
        await press(pilot, "T")
        assert parsed.count("app.tcss") == 2
        assert pilot.app.screen.styles.background == Color.parse(HIGH_CONTRAST.background)


async def test_a_theme_in_the_settings_that_has_changed_since_wins(tmp_path):
    chosen = ChosenTheme(tmp_path / "theme.json")
    chosen.keep("light", instead := "dark")
    assert chosen.read(instead) == ("light", "")
    changed = Monitor(theme="high-contrast")
    async with screen(fleet(monitor=changed), chosen=chosen, monitor=changed) as pilot:
        assert pilot.app.theme == "experience-high-contrast"
    nord = Monitor(theme="nord")
    async with screen(fleet(monitor=nord), chosen=chosen, monitor=nord) as pilot:
        assert pilot.app.theme == "nord"
        await press(pilot, *"TTTTT")  # through the other four, and back to it
        assert toasts(pilot)[-1] == "theme: nord" and chosen.read("nord") == ("nord", "")


@each("garbage", ["", "{", "[]", '{"theme": 3}', '{"theme": "\x1b[31m", "instead_of": "dark"}', "[" * 9999])
async def test_garbage_is_ignored_with_one_line(tmp_path, garbage):
    path = tmp_path / "theme.json"
    path.write_text(garbage)
    async with screen(fleet(), chosen=ChosenTheme(path)) as pilot:
        assert pilot.app.theme == "experience-dark"
        (line,) = toasts(pilot)
        assert line.startswith(f"{path} is ignored: it holds no theme") and line.isprintable()


async def test_what_another_user_wrote_is_not_believed(tmp_path, monkeypatch):
    chosen = ChosenTheme(tmp_path / "theme.json")
    chosen.keep("light", "dark")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert chosen.read("dark")[0] == "dark"


async def test_a_folder_that_cannot_be_written_changes_the_theme_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    async with screen(fleet(), chosen=ChosenTheme(tmp_path / "file" / "theme.json")) as pilot:
        await press(pilot, "T")
        assert pilot.app.theme == "experience-light"
        assert toasts(pilot)[-1].startswith("theme: light; the next start does not know it: ")


async def test_S_saves_a_picture_into_the_working_folder_and_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with screen(fleet()) as pilot:
        await press(pilot, "S", "S")
        first, second = tmp_path / "experience-2026-03-02-120000.svg", "experience-2026-03-02-120000-2.svg"
        assert toasts(pilot) == [f"saved {first}", f"saved {tmp_path / second}"]
    assert "opus" in first.read_text() and stat.S_IMODE(first.stat().st_mode) == 0o600


def test_a_picture_is_saved_at_home_where_the_working_folder_takes_none(tmp_path):
    gone = tmp_path / "gone"
    assert save_picture("<svg/>", NOON, (gone, tmp_path)).parent == tmp_path
    with pytest.raises(FileNotFoundError):
        save_picture("<svg/>", NOON, (gone, gone))


def test_a_picture_replaces_nothing_and_follows_no_link(tmp_path):
    name = tmp_path / "experience-2026-03-02-120000.svg"
    name.symlink_to(tmp_path / "elsewhere")
    assert save_picture("<svg/>", NOON, (tmp_path,)) != name
    assert not (tmp_path / "elsewhere").exists() and Path(name).is_symlink()
