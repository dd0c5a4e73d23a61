"""The keys of every screen: `id` is the name in the settings, `tooltip` the line in the help."""

from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import Screen

# The keys at the bottom come in three groups: places to go, actions, and views.
PLACES = ("leave", "back", "pane", "table", "timeline", "log", "palette")
VIEWS = ("filter", "search", "only", "sort", "reverse", "mark", "problem", "theme", "force-failing")
LAST = ("help", "quit")  # at the end, and kept when there is no room for all keys
TABLE_FIRST = ("details", "sort", "reverse", "filter", "force", "pause")  # in a table, in this order
DETAILS_FIRST = ("stop", "force", "pause", "reset", "edit", "search", "copy", "pager")
NARROW = 60  # cells below which only the keys that lead to all others are shown
ALWAYS = ("palette", "help")

# Actions that a read-only screen lacks.
FLEET_VERBS = ("ask", "pause", "stop", "freeze", "mark", "force_failing", "citizen", "settings")
DETAILS_VERBS = ("ask", "pause", "stop", "budget", "settings")


def _key(key: str, action: str, words: str, name: str, help: str, show: bool = True) -> Binding:
    return Binding(key, action, words, show, id=name, tooltip=help)


def _hidden(key: str, action: str, name: str, help: str) -> Binding:
    return Binding(key, action, help, show=False, id=name)


APP_KEYS = (
    _key("colon,ctrl+p", "palette", "palette", "palette", "palette: every action, citizen, task"),
    _key("T", "theme", "theme", "theme", "theme: dark, light, high contrast, ansi"),
    _key("S", "picture", "screenshot", "screenshot", "save a picture of the screen", False),
    _key("question_mark", "help", "help", "help", "every key and every sign"),
    _key("q", "quit", "quit", "quit", "quit; asks if it would stop citizens"),
)

FLEET_KEYS = (
    _key("v", "app.table", "table", "table", "table, and back to the panels"),
    _key("t", "app.timeline", "timeline", "timeline", "timeline: what runs when, and what ran"),
    _key("l", "app.log", "log", "log", "log: what happened, newest last"),
    _key("enter", "open", "details", "details", "details of the row under the cursor"),
    _key("f", "ask('force')", "force", "force", "force: run the task now"),
    _key("r", "ask('reset')", "reset", "reset", "reset: forget the last run, run again"),
    _key("p", "pause", "pause", "pause", "pause or resume"),
    _key("w", "citizen('wake')", "wake", "wake", "wake the citizen now"),
    _key("x", "stop", "stop", "stop", "stop the run; asks first"),
    _key("a", "settings('add')", "add", "add", "add a task, or what this one needs"),
    _key("m", "citizen('move')", "move", "move", "move the citizen to another machine"),
    _key("Z", "freeze", "freeze", "freeze", "freeze citizens, or thaw them"),
    _key("B", "citizen('budget')", "budget", "budget", "budget: what was spent, allow more today"),
    _key("e", "settings('edit')", "edit", "edit", "edit the settings at this row", False),
    _key("i", "settings('new')", "new citizen", "new-citizen", "make a new citizen", False),
    _key("u", "settings('undo')", "undo", "undo", "undo the last change of settings", False),
    _key("slash", "find", "filter", "filter", "filter; ! in front inverts"),
    _hidden("o", "app.lower", "lower", "lower part: events, output, nothing"),
    _key("s", "sort", "sort", "sort", "sort: name, failing, next"),
    _key("space", "mark", "mark", "mark", "mark: the keys above act on all marked"),
    _key("n", "app.walk(1)", "problem", "problem", "next problem, the worst first"),
    _hidden("N", "app.walk(-1)", "problem-before", "previous problem"),
    _key("F", "force_failing", "failing", "force-failing", "force all that fail"),
    _hidden("y", "copy", "copy", "copy the error, or what it said"),
    _key("O", "citizen('take over')", "take over", "take-over", "take over a citizen nobody runs", False),
    _hidden("escape", "clear", "clear", "clear filter, then marks"),
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

# The table has the same keys, except those that lead back.
TABLE_KEYS = (
    _key("v", "app.table", "panels", "table", "back to the panels"),
    _key("R", "reverse", "reverse", "reverse", "reverse the order"),
    *(key for key in FLEET_KEYS if key.id not in ("table", "lower", "left", "right", "next", "before")),
    _hidden("tab", "move('panel', 1)", "next", "the next row of another citizen"),
    _hidden("shift+tab", "move('panel', -1)", "before", "the row before of another citizen"),
)

DETAILS_KEYS = (
    _key("escape", "back", "back", "leave", "back to all tasks"),
    _hidden("backspace,q", "back", "leave-too", "back to all tasks"),
    _key("tab", "pane(1)", "panel", "pane", "next panel: runs, output, definition"),
    _hidden("right", "pane(1)", "pane-after", "next panel: runs, output, definition"),
    _hidden("shift+tab,left", "pane(-1)", "pane-before", "panel before"),
    _hidden("enter", "enter", "read", "the output alone, or unfold a row"),
    *(key for key in FLEET_KEYS if key.id in ("force", "reset", "pause", "stop")),
    _key("B", "budget", "budget", "budget", "budget: what was spent, allow more today"),
    _key("e", "settings('edit')", "edit", "edit", "edit the settings at this task"),
    _hidden("a", "settings('add')", "add", "add a task, or what this one needs"),
    _hidden("c", "by_cost", "by-cost", "runs by cost, or by time"),
    _hidden("z", "unfold", "unfold", "each skipped time, or equal ones as one"),
    _hidden("W", "wrap", "wrap", "wrap long lines, or cut them"),
    _hidden("l", "app.log", "log", "log: what happened, newest last"),
    _key("y", "copy", "copy", "copy", "copy what the chosen panel shows"),
    _key("o", "open", "open", "pager", "open it in a pager ($PAGER, or less)"),
)

LESSON_KEYS = (
    _key("y", "copy", "copy", "copy", "copy the lines under the cursor"),
    _key("a", "settings('add')", "add", "add", "add a task", False),
    _key("e", "settings('edit')", "edit", "edit", "edit the settings there"),
    _key("i", "settings('new')", "new citizen", "new-citizen", "make a new citizen"),
    _key("tab", "leave", "rows", "next", "back to the rows"),
    _hidden("shift+tab", "leave", "before", "back to the rows"),
    _hidden("enter", "move(1)", "open", "next lines, or next problem"),
    _hidden("escape", "hide", "clear", "hide the first steps for good"),
)

PANE_KEYS = (
    _key("slash", "search", "search", "search", "search; n, N walk the hits"),
    _hidden("n", "hit(1)", "next-hit", "next hit of the search"),
    _hidden("N", "hit(-1)", "hit-before", "hit before"),
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
    _hidden("l", "app.log", "log", "log: what happened, newest last"),
    _hidden("up,k", "move('vertical', -1)", "up", "task above"),
    _hidden("down,j", "move('vertical', 1)", "down", "task below"),
    _hidden("pageup", "move('page', -1)", "page-up", "a screen up"),
    _hidden("pagedown", "move('page', 1)", "page-down", "a screen down"),
    _hidden("g,home", "move('end', -1)", "first", "first task"),
    _hidden("G,end", "move('end', 1)", "last", "last task"),
)

LOG_KEYS = (
    _key("enter", "choose", "show", "open", "show the run of this event"),
    _key("slash", "screen.search", "search", "search", "search; n, N walk the hits"),
    _hidden("n", "hit(1)", "next-hit", "next hit of the search"),
    _hidden("N", "hit(-1)", "hit-before", "hit before"),
    _key("ampersand", "screen.find", "filter", "only", "show only matching events; ! in front inverts"),
    _key("G,end", "move('end', 1)", "newest", "last", "the newest event; follow it again"),
    _key("y", "copy", "copy", "copy", "copy the whole text of this event"),
    _hidden("up,k", "move('vertical', -1)", "up", "line above; stops following"),
    _hidden("down,j", "move('vertical', 1)", "down", "line below"),
    _hidden("pageup", "move('page', -1)", "page-up", "a screen up"),
    _hidden("pagedown", "move('page', 1)", "page-down", "a screen down"),
    _hidden("g,home", "move('end', -1)", "first", "the oldest event"),
)


def active_keys(screen: "Screen[object]") -> list[tuple[str, ActiveBinding]]:
    """The keys that work now, the focused widget's first; a rebound key keeps its place."""
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
    """The key with this name, as shown on screen: from the settings, or else `usual`."""
    keys = node.app._keymap.get(name)  # Textual has no public way to read its keymap
    return min((format_key(key) for key in keys.split(",")), key=len) if keys else usual
