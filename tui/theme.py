"""The themes: dark, light, high contrast, and the terminal's own colours."""

from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

DARK = Theme(
    name="experience-dark",
    primary="#6cb6d9",
    secondary="#4a7f9c",
    accent="#6cb6d9",
    foreground="#d5dbe3",
    background="#12161c",
    surface="#181d25",
    panel="#1e2530",
    success="#7dc48a",
    warning="#e3b562",
    error="#f0716b",
    dark=True,
    variables={
        "ink": "#c9d1da",
        "title": "#eef2f6",
        "faint": "#758290",
        "frame": "#364250",
        "track": "#2b343f",
        "bar": "#4d8a78",
        "ok": "#7dc48a",
        "warn": "#e3b562",
        "bad": "#f0716b",
        "run": "#6cb6d9",
        "cursor": "#26384a",
        "head": "#181d25",
        "footer-background": "#181d25",
        "input-selection-background": "#6cb6d9 35%",
    },
)

LIGHT = Theme(
    name="experience-light",
    primary="#1f6f9f",
    secondary="#5b8fb0",
    accent="#1f6f9f",
    foreground="#22282e",
    background="#fbfaf7",
    surface="#f1efea",
    panel="#e8e5de",
    success="#257a3e",
    warning="#8f5b00",
    error="#b91c2e",
    dark=False,
    variables={
        "ink": "#2b323a",
        "title": "#0f1419",
        "faint": "#68727c",
        "frame": "#c4c0b6",
        "track": "#d9d5cb",
        "bar": "#5d9c84",
        "ok": "#257a3e",
        "warn": "#8f5b00",
        "bad": "#b91c2e",
        "run": "#1f6f9f",
        "cursor": "#d6e6f0",
        "head": "#f1efea",
        "footer-background": "#f1efea",
        "input-selection-background": "#1f6f9f 25%",
    },
)

HIGH_CONTRAST = Theme(
    name="experience-high-contrast",
    primary="#5ad1ff",
    secondary="#9adfff",
    accent="#5ad1ff",
    foreground="#ffffff",
    background="#000000",
    surface="#0a0a0a",
    panel="#161616",
    success="#5dff8f",
    warning="#ffd23f",
    error="#ff8a80",
    dark=True,
    variables={
        "ink": "#ffffff",
        "title": "#ffffff",
        "faint": "#c4c4c4",
        "frame": "#9a9a9a",
        "track": "#6e6e6e",
        "bar": "#5dff8f",
        "ok": "#5dff8f",
        "warn": "#ffd23f",
        "bad": "#ff8a80",
        "run": "#5ad1ff",
        "cursor": "#1d4f91",
        "head": "#161616",
        "footer-background": "#161616",
        "input-selection-background": "#5ad1ff 40%",
    },
)

_TERMINAL = BUILTIN_THEMES["ansi-dark"]
ANSI = replace(
    _TERMINAL,
    name="experience-ansi",
    variables={
        **_TERMINAL.variables,
        "ink": "ansi_default",
        "title": "ansi_default",
        "faint": "ansi_default",
        "frame": "ansi_default",
        "track": "ansi_default",
        "bar": "ansi_green",
        "ok": "ansi_green",
        "warn": "ansi_yellow",
        "bad": "ansi_red",
        "run": "ansi_cyan",
        "cursor": "ansi_default",
        "head": "ansi_default",
    },
)

THEMES = (DARK, LIGHT, HIGH_CONTRAST, ANSI)


def named(setting: str) -> str:
    """The theme that a name in the settings means."""
    return f"experience-{setting}"


def defaults(theme: Theme) -> dict[str, str]:
    """The variables of this app for a foreign theme, derived from its colours."""
    ink = theme.foreground or ("#d5dbe3" if theme.dark else "#22282e")
    own = {"ink": ink, "title": ink, "head": theme.surface, "bar": theme.success}
    own |= {"ok": theme.success, "warn": theme.warning, "bad": theme.error, "run": theme.accent}
    return {**(DARK if theme.dark else LIGHT).variables, **{name: at for name, at in own.items() if at}}


def following(name: str) -> str:
    """The theme that comes after this one."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]
