"""Keys that change settings: a adds, e edits, i makes a citizen, u takes back; what is refused says why."""

from pathlib import Path

import pytest
from textual.events import Key
from textual.widgets import Input

from scheduler.core.views import Snapshot, TaskStatus
from scheduler.editing.editor import FileEditor
from tests.each import each
from tests.fakes import FakeControl, FakeFleet, until
from tests.screens.driving import press, screen, settled, shown, toasts
from tests.screens.situations import task
from tui.terminal import editor as terminal_editor
from tui.terminal.external_program import CannotStepAside

NEEDS = task(
    "news_scan",
    kind=TaskStatus.NOT_SET_UP,
    missing="feeds",
    builtin=True,
    advice='# in FILE\n[tasks.news_scan]\nfeeds = ["https://example.org/feed.xml"]  # yours',
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "root/opus/experience.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    (tmp_path / "main.toml").write_text(f'root = "{tmp_path}/root"\n')
    return file


def opened(own: Path, *tasks, off: str = "", **options):
    fleet = FakeFleet(FakeControl(Snapshot("opus", tasks or (task("tick"),))))
    made = FileEditor(own.parents[2] / "main.toml", off)
    return screen(fleet, size=(80, 24), editor=lambda: made, **options)


async def typed(pilot, *keys: str) -> None:
    await press(pilot, *keys)
    await settled(pilot)


def fill(pilot, **fields: str) -> None:
    """What is typed into the form by now."""
    for name, text in fields.items():
        pilot.app.screen.query_one(f"#{name}", Input).value = text


async def test_a_adds_a_task_while_it_shows_when_it_would_run(own):
    async with opened(own) as pilot:
        await typed(pilot, "a")
        fill(pilot, name="report", when="0 9 * * mon-fr")
        await typed(pilot, "tab", "end", "y")
        assert "mon-fry is no weekday; did you mean mon-fri?" in shown(pilot)
        await typed(pilot, "enter")
        assert "Add a task to opus" in shown(pilot), "a mistake is not written"
        await typed(pilot, "backspace", "i", "tab")
        fill(pilot, command="sh -c 'echo $HOME'")
        await typed(pilot)
        text = shown(pilot)
        assert "at 09:00, Monday to Friday" in text and "in 21h00m" in text
        assert "[tasks.report]" in text and "opus/experience.toml" in text
        await typed(pilot, "enter")
        assert "added opus/report; u takes it back" in shown(pilot)
    assert own.read_text() == (
        '# mine\n\n[tasks.report]\ncron = "0 9 * * mon-fri"\ncommand = ["sh", "-c", "echo $HOME"]\n'
    )


async def test_a_name_typed_right_behind_a_is_the_name_of_the_task_and_resets_nothing(own):
    """The form opens when the settings have been read: the keys wait for it."""
    async with opened(own) as pilot:
        for char in "areport":
            pilot.app.post_message(Key(char, char))
        await until(lambda: pilot.app.screen.query("#name"), "the form")
        name = pilot.app.screen.query_one("#name", Input)
        await until(lambda: name.value == "report", "all letters are in it")
        assert len(pilot.app.screen_stack) == 2, "no question of another key"


async def test_a_warning_is_said_before_anything_is_written(own):
    async with opened(own) as pilot:
        await typed(pilot, "a")
        fill(pilot, name="often", when="1s", command="no-such-program")
        await typed(pilot, "enter")
        assert "runs very often" in shown(pilot) and own.read_text() == "# mine\n"
        await typed(pilot, "enter")
    assert "no-such-program" in own.read_text()


async def test_a_on_a_row_that_needs_settings_writes_what_it_needs(own):
    async with opened(own, task("tick"), NEEDS) as pilot:
        await typed(pilot, "down", "enter", "down", "a")
        assert "Set up news_scan" in shown(pilot) and "feeds = " in shown(pilot)
        await typed(pilot, "enter")
        assert "added opus/news_scan" in shown(pilot)
    assert own.read_text().endswith('[tasks.news_scan]\nfeeds = ["https://example.org/feed.xml"]\n')


async def test_i_makes_a_citizen_and_says_what_a_name_may_be(own):
    async with opened(own) as pilot:
        await typed(pilot, "i", *"Mira", "enter")
        assert "not a valid name" in shown(pilot).replace("│", "")
        fill(pilot, name="mira")
        await typed(pilot, "enter")
        assert "made mira" in shown(pilot)
    assert (own.parents[1] / "mira/experience.toml").exists()


async def test_u_takes_the_last_change_back_after_one_question(own):
    async with opened(own) as pilot:
        await typed(pilot, "u")
        assert "nothing to undo" in toasts(pilot)[0]
        await typed(pilot, "a")
        fill(pilot, name="often", when="1h", command="df")
        await typed(pilot, "enter")
        assert "df" in own.read_text()
        await typed(pilot, "u")
        assert "Undo in opus?" in shown(pilot) and "added often" in shown(pilot)
        await typed(pilot, "enter")
        assert "df" in own.read_text(), "the cursor is on the harmless answer"
        await typed(pilot, "u", "u")
        await until(lambda: "undone: added often" in shown(pilot), "it says so")
    assert own.read_text() == "# mine\n"


async def test_e_opens_the_editor_at_the_line_and_says_what_is_wrong_afterwards(own, monkeypatch):
    own.write_text("# mine\n\n[tasks.tick]\nevery = '1h'\ncommand = ['df']\n")
    opened_at = []

    def edit(app, file, line):
        opened_at.append((file, line))
        file.write_text(file.read_text().replace("every", "evry"))

    monkeypatch.setattr(terminal_editor, "edit", edit)
    async with opened(own) as pilot:
        await typed(pilot, "e")
        await until(lambda: "experience.toml has 2 problems" in shown(pilot), "the question")
        text = shown(pilot)
        assert "did you mean every?" in text
        assert "opus goes on with the settings it had" in text
        monkeypatch.setattr(terminal_editor, "edit", lambda app, file, line: own.write_text("# good\n"))
        await typed(pilot, "e")
        await until(lambda: "problems" not in shown(pilot), "the question is gone")
    assert opened_at == [(own, 3)]


async def test_e_without_an_editor_says_so(own, monkeypatch):
    def edit(app, file, line):
        raise CannotStepAside("no editor found: set EDITOR to one, such as nano")

    monkeypatch.setattr(terminal_editor, "edit", edit)
    async with opened(own) as pilot:
        await typed(pilot, "e")
        assert toasts(pilot) == ["no editor found: set EDITOR to one, such as nano"]


async def test_in_a_browser_each_of_these_keys_says_why_it_does_nothing(own):
    reason = "settings are changed in a terminal, not in a browser"
    async with opened(own, off=reason) as pilot:
        for key in "aeiu":
            await typed(pilot, key)
        assert toasts(pilot) == [reason] * 4
    assert own.read_text() == "# mine\n"


async def test_a_read_only_screen_has_none_of_these_keys(own):
    async with opened(own, read_only=True) as pilot:
        for key in "aeiu":
            await typed(pilot, key)
        assert toasts(pilot) == [] and "Add a task" not in shown(pilot)


async def test_made_up_citizens_have_no_settings():
    async with screen(FakeFleet(FakeControl(Snapshot("opus", (task("tick"),))))) as pilot:
        await typed(pilot, "a")
        assert toasts(pilot) == ["these citizens are made up, and so are their settings"]


async def test_the_details_of_a_task_have_these_keys_too(own):
    async with opened(own, task("tick"), NEEDS) as pilot:
        await typed(pilot, "down", "enter", "down", "enter")
        assert "a writes them, y copies them" in shown(pilot)
        await typed(pilot, "a")
        assert "Set up news_scan" in shown(pilot)


@each(
    ("words", "argv"),
    [
        ("nano -w", ["nano", "-w", "+7", "f.toml"]),
        ("hx", ["hx", "f.toml:7"]),
        ("code", ["code", "--wait", "--goto", "f.toml:7"]),
        ("/opt/ed", ["/opt/ed", "f.toml"]),
    ],
)
def test_each_editor_is_told_the_line_in_its_own_way(words, argv):
    assert terminal_editor.command(words.split(), Path("f.toml"), 7) == argv


def test_the_editor_is_the_persons_own_or_one_that_is_there(monkeypatch, tmp_path):
    (tmp_path / "vi").touch(0o755)
    (tmp_path / "mine").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert terminal_editor.editor({}) == ["vi"]
    assert terminal_editor.editor({"EDITOR": "vi", "VISUAL": "mine -x"}) == ["mine", "-x"]
    for chosen, reason in [("nowhere", "no program 'nowhere'"), ("vi '", "quote")]:
        with pytest.raises(CannotStepAside, match=reason):
            terminal_editor.editor({"EDITOR": chosen})
    (tmp_path / "vi").unlink()
    with pytest.raises(CannotStepAside, match="no editor found"):
        terminal_editor.editor({})
