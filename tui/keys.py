"""The keys of every screen: `id` is the name in the settings, `tooltip` the line in the help."""

from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import Screen

# Actions that a read-only screen lacks.
FLEET_VERBS = ("ask", "pause", "wake", "stop", "mark", "force_failing", "take_over")
DETAILS_VERBS = ("ask", "pause", "stop")


def _key(key: str, action: str, words: str, name: str, help: str, show: bool = True) -> Binding:
    return Binding(key, action, words, show, id=name, tooltip=help)


def _hidden(key: str, action: str, name: str, help: str) -> Binding:
    return Binding(key, action, help, show=False, id=name)


APP_KEYS = (
    _key("T", "theme", "theme", "theme", "another theme: dark, light, high contrast, ansi", False),
    _key("S", "picture", "screenshot", "screenshot", "save the screen as an SVG file", False),
    _key("colon,ctrl+p", "palette", "palette", "palette", "type a command, citizen or task", False),
    _key("question_mark", "help", "help", "help", "every key and every sign"),
    _key("q", "quit", "quit", "quit", "quit; asks first while tasks run here"),
)

FLEET_KEYS = (
    _key("f", "ask('force')", "force", "force", "run the task now, whatever its schedule says"),
    _key("r", "ask('reset')", "reset", "reset", "forget the last run and the last error"),
    _key("p", "pause", "pause", "pause", "pause or resume the task"),
    _key("enter", "open", "details", "details", "the task in detail: why, next times, runs, output"),
    _key("w", "wake", "wake", "wake", "wake the citizen under the cursor now"),
    _key("x", "stop", "stop", "stop", "stop the run; asks first"),
    _key("slash", "find", "filter", "filter", "show only matching tasks; ! in front inverts"),
    _key("s", "sort", "sort", "sort", "by name, failing first, or next due"),
    _key("space", "mark", "mark", "mark", "mark the task: verbs act on all that are marked"),
    _key("F", "force_failing", "failing", "force-failing", "force all failing tasks"),
    _hidden("y", "copy", "copy", "copy the task's error, or what it said"),
    _key("n", "app.walk(1)", "problem", "problem", "next problem, the worst first"),
    _hidden("N", "app.walk(-1)", "problem-before", "previous problem"),
    _hidden("O", "take_over", "take-over", "take over a citizen whose process died"),
    _hidden("escape", "clear", "clear", "clear filter, then marks"),
    _key("t", "app.timeline", "timeline", "timeline", "what will run when, and what ran"),
    _key("l", "app.log", "log", "log", "what happened: events of all citizens, newest last"),
    _hidden("up,k", "move('vertical', -1)", "up", "task above"),
    _hidden("down,j", "move('vertical', 1)", "down", "task below"),
    _hidden("left", "move('sideways', -1)", "left", "panel on the left"),
    _hidden("right", "move('sideways', 1)", "right", "panel on the right"),
    _hidden("tab", "move('panel', 1)", "next", "next panel"),
    _hidden("shift+tab", "move('panel', -1)", "before", "panel before"),
    _hidden("pageup", "page(-1)", "page-up", "a screen up"),
    _hidden("pagedown", "page(1)", "page-down", "a screen down"),
    _hidden("g,home", "move('end', -1)", "first", "first task"),
    _hidden("G,end", "move('end', 1)", "last", "last task"),
)

DETAILS_KEYS = (
    _key("f", "ask('force')", "force", "force", "run the task now, whatever its schedule says"),
    _key("r", "ask('reset')", "reset", "reset", "forget the last run and the last error"),
    _key("p", "pause", "pause", "pause", "pause or resume the task"),
    _key("x", "stop", "stop", "stop", "stop the run; asks first"),
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

TIMELINE_KEYS = (
    _key("enter", "choose", "show", "open", "show this task"),
    _key("plus,equals_sign", "screen.zoom(-1)", "zoom in", "zoom-in", "zoom in: a shorter time"),
    _key("minus", "screen.zoom(1)", "zoom out", "zoom-out", "zoom out: a longer time"),
    _key("left", "time(-1)", "earlier", "left", "an earlier time"),
    _key("right", "time(1)", "later", "right", "a later time; beyond the edge the window moves"),
    _key("0", "screen.now", "now", "now", "back to now"),
    _hidden("up,k", "move('vertical', -1)", "up", "task above"),
    _hidden("down,j", "move('vertical', 1)", "down", "task below"),
    _hidden("pageup", "move('page', -1)", "page-up", "a screen up"),
    _hidden("pagedown", "move('page', 1)", "page-down", "a screen down"),
    _hidden("g,home", "move('end', -1)", "first", "first task"),
    _hidden("G,end", "move('end', 1)", "last", "last task"),
)

LOG_KEYS = (
    _key("enter", "choose", "show", "open", "show the run of this event"),
    _key("slash", "find", "filter", "filter", "show only matching events; ! in front inverts"),
    _key("G,end", "move('end', 1)", "newest", "last", "the newest event; follow it again"),
    _key("y", "copy", "copy", "copy", "copy the whole text of this event"),
    _hidden("up,k", "move('vertical', -1)", "up", "line above; stops following"),
    _hidden("down,j", "move('vertical', 1)", "down", "line below"),
    _hidden("pageup", "move('page', -1)", "page-up", "a screen up"),
    _hidden("pagedown", "move('page', 1)", "page-down", "a screen down"),
    _hidden("g,home", "move('end', -1)", "first", "the oldest event"),
)


def active_keys(screen: "Screen[object]") -> list[tuple[str, ActiveBinding]]:
    """The keys that work now, those of the focused widget first; a rebound key keeps its place."""
    focused = screen.focused
    nodes = [*(focused.ancestors_with_self if focused else screen.ancestors_with_self)]
    order: dict[str, int] = {}
    for node in nodes:
        for binding in type(node).BINDINGS:
            if isinstance(binding, Binding) and binding.id:
                order.setdefault(binding.id, len(order))
    active = screen.active_bindings.items()
    return sorted(active, key=lambda item: order.get(item[1].binding.id or "", len(order)))


def key_of(node: DOMNode, name: str, usual: str) -> str:
    """The key of this name, as shown on the screen: from the settings, or the default `usual`."""
    keys = node.app._keymap.get(name)  # Textual has no public way to read its keymap
    return min((format_key(key) for key in keys.split(",")), key=len) if keys else usual
