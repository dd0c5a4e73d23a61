"""The settings of the monitor: keys by name, colours, title and bell. Plain data."""

from collections.abc import Mapping
from dataclasses import field

from scheduler.core.values import value

ON_CLOSE = KEEP, STOP = "keep", "stop"  # what happens to a monitor's citizens when it closes
THEMES = ("dark", "light", "high-contrast", "ansi")
# Of Textual's own themes, those in which every state can be read.
TEXTUAL_THEMES = (
    *("atom-one-dark", "catppuccin-frappe", "catppuccin-macchiato", "catppuccin-mocha", "dracula", "flexoki"),
    *("gruvbox", "monokai", "nord", "rose-pine", "rose-pine-moon", "solarized-dark", "solarized-light"),
    "tokyo-night",
)

EVERYWHERE = "everywhere"
_VERBS = "force=f reset=r pause=p stop=x budget=B "
_SEARCH = "search=slash next-hit=n hit-before=N "
_MOVES = "up=up,k down=down,j page-up=pageup page-down=pagedown first=g,home last=G,end "


def _keys(text: str) -> Mapping[str, str]:
    return dict(each.split("=") for each in text.split())


# Screen by screen: the name of each key, and its default key.
KEYS = {
    EVERYWHERE: _keys("help=question_mark palette=colon,ctrl+p quit=q screenshot=S theme=T"),
    "fleet": _keys(
        _VERBS
        + _MOVES
        + "details=enter wake=w freeze=Z add=a edit=e new-citizen=i undo=u filter=slash sort=s mark=space "
        "lower=o table=v reverse=R force-failing=F copy=y timeline=t log=l problem=n problem-before=N "
        "take-over=O move=m clear=escape left=left right=right next=tab before=shift+tab"
    ),
    "start": _keys(  # the first steps, an empty fleet, wrong settings
        _MOVES + "copy=y add=a edit=e new-citizen=i next=tab before=shift+tab open=enter clear=escape"
    ),
    "log": _keys(_MOVES + _SEARCH + "open=enter only=ampersand copy=y clear=escape log=l back=q"),
    "timeline": _keys(
        _MOVES
        + "open=enter zoom-in=plus,equals_sign zoom-out=minus left=left right=right now=0 clear=escape "
        "timeline=t log=l back=q"
    ),
    "details": _keys(
        _VERBS
        + _MOVES
        + _SEARCH
        + "copy=y pager=o add=a edit=e by-cost=c unfold=z wrap=W log=l pane=tab pane-after=right "
        "pane-before=shift+tab,left read=enter leave=escape leave-too=backspace,q"
    ),
    "filter": _keys("filter-clear=escape"),
}


@value
class Monitor:
    """The options of the screen; `keys` holds keys that differ from the default, as Textual names them."""

    keys: Mapping[str, str] = field(default_factory=dict)
    theme: str = THEMES[0]
    ascii: bool = False
    title: bool = True
    bell: bool = False
    on_close: str = KEEP  # when the terminal is closed; `q` asks the user
    problems: tuple[str, ...] = ()
