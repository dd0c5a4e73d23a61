"""The first steps as text: what a citizen is, what to write where, and what else is possible."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scheduler.core.values import value
from scheduler.errors import PROGRAM
from tui.common.pane import Row, StyledText

TURN = '[wake]\ncommand = ["claude", "-p", "Read your queue and act."]'
WHOLE_TURN = f'{TURN}\ngate = "news"\n\n[budget]\nday = 5.0'
BUILT_IN = 'builtin = ["heartbeat"]'
SHORT = 64  # cells below which only a path's file name is shown


@value
class Facts:
    """The facts in the text: the citizen, its settings file, how many lines cron runs, and the keys."""

    citizen: str
    file: str
    jobs: int = 0
    program: str = PROGRAM
    add: str = "a"
    edit: str = "e"
    wake: str = "w"
    quit: str = "q"


@value
class Line:
    """One line; `copied` is the text that copying it puts on the clipboard."""

    pieces: tuple[StyledText, ...] = ()
    copied: str = ""

    @property
    def row(self) -> Row:
        return Row(self.pieces)


def short_steps(facts: Facts, width: int) -> list[list[Line]]:
    """Everything in one column, then shorter versions for less room."""
    needed = [
        *_opening(facts, width),
        Line(),
        _key(facts.add, "add a task: name, schedule (shows its next three times), command"),
        _key(facts.edit, "open the settings in your editor; what you save runs 2 s later"),
        _key(facts.wake, f"wake {facts.citizen}, once the settings have"),
        *_typed(TURN, TURN, 7),
    ]
    demo = [
        _said("Thirty citizens at work, nothing of yours touched:"),
        *_typed(f"{facts.program} --demo", indent=7),
    ]
    crontab = _crontab(facts)
    with_crontab = [[*needed, Line(), *crontab]] if crontab else []
    return [[*needed, Line(), *crontab, *demo], *with_crontab, needed]


def long_steps(facts: Facts, width: int) -> list[Line]:
    """Three steps, the most useful first."""
    return [
        Line(),
        *_opening(facts, width),
        Line(),
        _step(1, facts.wake, f"give it a turn of its own. Add to its settings ({facts.edit} opens them):"),
        Line(),
        *_turn(),
        Line(),
        _step(2, facts.add, "add a task of your own: name, schedule, command."),
        _said("        Its next three times are shown while you type."),
        Line(),
        _step(3, facts.quit, f"leaves. It asks whether {facts.citizen} goes on in the background."),
        Line(),
    ]


def other_ways(facts: Facts) -> list[Line]:
    """What to do with what already exists."""
    crontab = [
        _said(f"You have a crontab of {_lines(facts.jobs)}."),
        _said("See what each would become:"),
        Line(),
        *_typed(f"{facts.program} migrate", indent=3),
        Line(),
        _said("Nothing is changed before --apply,"),
        _said("and --undo puts it back."),
        Line(),
    ]
    return [
        Line(),
        *(crontab if facts.jobs else ()),
        _said("Thirty citizens at work, nothing"),
        _said("of yours touched:"),
        Line(),
        *_typed(f"{facts.program} --demo", indent=3),
        Line(),
        _said("Built-in tasks you do not want:"),
        Line(),
        *_typed(BUILT_IN, indent=3),
        Line(),
    ]


def no_citizens(facts: Facts, main: str, *, makes: str) -> Iterator[Line]:
    """How to make the first citizen; `makes` is the key for that, or empty."""
    ways = [(makes, "name it here")] if makes else []
    ways.append((f"{facts.program} init opus", "the same from a shell" if makes else "from a shell"))
    if facts.jobs:
        ways.append((f"{facts.program} migrate", f"from your crontab of {_lines(facts.jobs)}"))
    wide = max(29, max(len(typed) for typed, _ in ways) + 2)
    yield Line()
    yield _said(
        f"A citizen is an agent with a folder. {'Any of these' if len(ways) > 1 else 'This'} makes one:"
    )
    yield Line()
    for typed, about in ways:
        style = "running" if typed == makes else "title"
        yield Line(
            (StyledText("   "), StyledText(f"{typed:<{wide}}", style), StyledText(about, "faint")), typed
        )
    yield Line()
    yield _said(f"or write it into {main}:")
    yield Line()
    yield from _typed(EXAMPLE, EXAMPLE, 3)
    yield Line()
    yield _said("It appears here 2 s after you save.")


EXAMPLE = '[citizens.opus.tasks.hello]\nevery = "5m"\ncommand = ["date"]'


def tilde(file: Path) -> str:
    """The path as a person writes it, with home as `~`."""
    with suppress(ValueError, RuntimeError):
        return f"~/{file.relative_to(Path.home())}"
    return str(file)


def tilde_in(file: str) -> str:
    """The same for a path as text; a name without folders stays."""
    return tilde(Path(file)) if file.startswith("/") else file


def _opening(facts: Facts, width: int) -> tuple[Line, Line]:
    room = width - len(" Its settings: ")
    file = facts.file if width >= SHORT and len(facts.file) <= room else facts.file.rpartition("/")[2]
    citizen = StyledText(facts.citizen, "title")
    is_one = " is a citizen: an agent with a folder, tasks, and a wake: its turn."
    return (
        Line((StyledText(" "), citizen, StyledText(is_one))),
        Line((StyledText(" Its settings: "), StyledText(file, "title"))),
    )


def _crontab(facts: Facts) -> list[Line]:
    if not facts.jobs:
        return []
    said = f"You have a crontab of {_lines(facts.jobs)}. See what each would become:"
    return [_said(said), *_typed(f"{facts.program} migrate", indent=7)]


def _turn() -> Iterator[Line]:
    """The lines for the wake and its budget, each with a reason."""
    why = {
        'gate = "news"': "# only if there is something new",
        "day = 5.0": "# USD; then it waits for tomorrow",
    }
    for line in WHOLE_TURN.splitlines():
        typed = StyledText(" " * 11 + (line.ljust(24) if line in why else line), "title")
        yield Line((typed, StyledText(why.get(line, ""), "faint")), WHOLE_TURN if line else "")


def _key(key: str, words: str) -> Line:
    return Line((StyledText(" "), StyledText(f"{key:<4}", "running"), StyledText(words)))


def _step(number: int, key: str, words: str) -> Line:
    return Line((StyledText(f" {number}   "), StyledText(f"{key:<4}", "running"), StyledText(words)))


def _said(words: str) -> Line:
    return Line((StyledText(f" {words}"),))


def _typed(text: str, copied: str = "", indent: int = 3) -> Iterator[Line]:
    for line in text.splitlines():
        yield Line((StyledText(" " * indent), StyledText(line, "title")), copied or text)


def _lines(jobs: int) -> str:
    return f"{jobs} line{'' if jobs == 1 else 's'}"
