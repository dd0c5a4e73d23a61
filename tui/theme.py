"""The themes: dark, light, high contrast, and the terminal's own colours."""

from dataclasses import replace
from typing import Any

from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.theme import BUILTIN_THEMES, Theme

from scheduler.core.ui_options import TEXTUAL_THEMES

# Each colour in the three themes: dark, light, high contrast.
PALETTE = {
    "primary": ("#6cb6d9", "#1f6f9f", "#5ad1ff"),
    "secondary": ("#4a7f9c", "#5b8fb0", "#9adfff"),
    "foreground": ("#d5dbe3", "#22282e", "#ffffff"),
    "background": ("#12161c", "#fbfaf7", "#000000"),
    "surface": ("#181d25", "#f1efea", "#0a0a0a"),
    "panel": ("#1e2530", "#e8e5de", "#161616"),
    "success": ("#7dc48a", "#257a3e", "#5dff8f"),
    "warning": ("#e3b562", "#8f5b00", "#ffd23f"),
    "error": ("#f0716b", "#b91c2e", "#ff8a80"),
}
VARIABLES = {
    "ink": ("#c9d1da", "#2b323a", "#ffffff"),
    "title": ("#eef2f6", "#0f1419", "#ffffff"),
    "faint": ("#758290", "#68727c", "#c4c4c4"),
    "frame": ("#364250", "#c4c0b6", "#9a9a9a"),
    "track": ("#2b343f", "#d9d5cb", "#6e6e6e"),
    "bar": ("#4d8a78", "#5d9c84", "#5dff8f"),
    "cursor": ("#26384a", "#d6e6f0", "#1d4f91"),
    "head": ("#181d25", "#f1efea", "#161616"),
    "footer-background": ("#181d25", "#f1efea", "#161616"),
    "input-selection-background": ("#6cb6d9 35%", "#1f6f9f 25%", "#5ad1ff 40%"),
}

BLENDED = {"faint": 0.75, "frame": 0.3, "track": 0.2, "cursor": 0.12}  # how much of the ink, in other themes


def _theme(column: int, name: str) -> Theme:
    colors: dict[str, Any] = {key: values[column] for key, values in PALETTE.items()}
    signs = {"ok": "success", "warn": "warning", "bad": "error", "run": "primary"}
    variables = {key: values[column] for key, values in VARIABLES.items()}
    variables |= {sign: colors[key] for sign, key in signs.items()}
    dark = name != "light"
    return Theme(f"experience-{name}", accent=colors["primary"], dark=dark, variables=variables, **colors)


DARK, LIGHT, HIGH_CONTRAST = (_theme(*each) for each in enumerate(("dark", "light", "high-contrast")))

_TERMINAL = BUILTIN_THEMES["ansi-dark"]
ANSI = replace(
    _TERMINAL,
    name="experience-ansi",
    variables={
        **_TERMINAL.variables,
        **dict.fromkeys(("ink", "title", "faint", "frame", "track", "cursor", "head"), "ansi_default"),
        "bar": "ansi_green",
        "ok": "ansi_green",
        "warn": "ansi_yellow",
        "bad": "ansi_red",
        "run": "ansi_cyan",
    },
)

THEMES = (DARK, LIGHT, HIGH_CONTRAST, ANSI)


def theme_name(setting: str) -> str:
    """The name of the theme for this value of the settings."""
    return setting if setting in TEXTUAL_THEMES else f"experience-{setting}"


def setting_of(name: str) -> str:
    """The value of the settings for the theme of this name."""
    return name.removeprefix("experience-")


def defaults(theme: Theme) -> dict[str, str]:
    """This app's variables for any theme, derived from its colours."""
    ink = theme.foreground or ("#d5dbe3" if theme.dark else "#22282e")
    own = {"ink": ink, "title": ink, "bar": theme.success}
    own |= dict.fromkeys(("head", "footer-background"), theme.surface)
    if (theme.background or "").startswith("#"):
        ground, text = Color.parse(theme.background or ""), Color.parse(ink)
        own |= {name: ground.blend(text, share).hex for name, share in BLENDED.items()}
    own |= {"ok": theme.success, "warn": theme.warning, "bad": theme.error, "run": theme.accent}
    return {**(DARK if theme.dark else LIGHT).variables, **{name: at for name, at in own.items() if at}}


def next_theme(name: str, wanted: str = DARK.name) -> str:
    """The name of the theme after this one; `wanted` by the settings is one of them, too."""
    names = list(dict.fromkeys((*(theme.name for theme in THEMES), wanted)))
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]


class Rules(Stylesheet):
    """The rules of app.tcss, parsed again only for different colours.

    Textual parses them in its own theme's colours before it knows ours, and once more at each start.
    """

    def set_variables(self, variables: dict[str, str]) -> None:
        """Use these colours when the rules are next parsed."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse whatever is not parsed yet, which is everything after a change of colours."""
        self.parse()
