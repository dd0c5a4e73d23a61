"""The keys of the details screen; each `id` is its name in a keymap, each tooltip its line in the help."""

from textual.binding import Binding

VERBS = ("ask", "pause")  # actions that a look-only screen has not


def _key(key: str, action: str, words: str, name: str, help: str) -> Binding:
    return Binding(key, action, words, id=name, tooltip=help)


def _hidden(key: str, action: str, name: str, help: str) -> Binding:
    return Binding(key, action, help, show=False, id=name)


KEYS = (
    _key("f", "ask('force')", "force", "force", "run the task now, whatever its schedule says"),
    _key("r", "ask('reset')", "reset", "reset", "forget the last run and the last error"),
    _key("p", "pause", "pause", "pause", "pause the task, or let it go on"),
    _key("y", "copy", "copy", "copy", "copy what the chosen panel shows, as plain text"),
    _key("o", "open", "open", "pager", "open it in a pager ($PAGER, or less)"),
    _key("tab", "pane(1)", "panel", "pane", "next panel: runs, output, what the task is"),
    _hidden("right", "pane(1)", "pane-after", "next panel: runs, output, what the task is"),
    _hidden("shift+tab,left", "pane(-1)", "pane-before", "panel before"),
    _hidden("enter", "read", "read", "the output alone over the whole width, and back"),
    _key("escape", "back", "back", "leave", "back to all tasks"),
    _hidden("backspace,q", "back", "leave-too", "back to all tasks"),
)

PANE_KEYS = (
    _hidden("up,k", "move(-1)", "up", "run above, or a line up"),
    _hidden("down,j", "move(1)", "down", "run below, or a line down"),
    _hidden("pageup", "page(-1)", "page-up", "a screen up"),
    _hidden("pagedown", "page(1)", "page-down", "a screen down"),
    _hidden("g,home", "end(-1)", "first", "newest run, or the first line"),
    _hidden("G,end", "end(1)", "last", "oldest run, or the last line and follow"),
)
