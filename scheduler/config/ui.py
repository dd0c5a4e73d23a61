"""Reads `[monitor]` and `[keys]` of the main file; mistakes there never stop a task."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from scheduler.core.ui_options import EVERYWHERE, KEEP, KEYS, ON_CLOSE, TEXTUAL_THEMES, THEMES, Monitor
from scheduler.schema.table import Problems, Source, Table, key, read, unknown
from scheduler.schema.values import Flag, InvalidValue, one_of, reason, type_name

NAMED = (
    "up down left right home end pageup pagedown tab enter escape space backspace delete insert comma "
    + " ".join(f"f{number}" for number in range(1, 13))
).split()
_PART = re.compile(r"(?:(?:ctrl|shift|alt)\+)*")
CHOICE = "is {value!r}; write one of {words}"
FIX = 'write one character, or a name such as "f5", "pageup" or "ctrl+x"'


class MonitorTable(Table):
    """The keys of `[monitor]`."""

    theme: Annotated[str, one_of((*THEMES, *TEXTUAL_THEMES), CHOICE)] = key(THEMES[0], "The colours.")
    ascii: Flag = key(False, "Draw with plain ASCII.")
    title: Flag = key(True, "Put counts into the terminal's title.")
    bell: Flag = key(False, "Ring the bell when a task begins to fail.")
    on_close: Annotated[str, one_of(ON_CLOSE, CHOICE)] = key(
        KEEP, "When its terminal is closed: keep its citizens running in the background, or stop them."
    )


_KEY = {"type": "string", "minLength": 1}
_KEYS = {"anyOf": [_KEY, {"type": "array", "items": _KEY, "minItems": 1}]}
KEYS_SCHEMA = {
    "type": "object",
    "description": "Another key, or several, for what the monitor can do.",
    "properties": {
        name: {**_KEYS, "description": f"Default: {key}."}
        for screen in KEYS.values()
        for name, key in screen.items()
    },
    "additionalProperties": False,
}


def monitor(keys: Mapping[str, Any] | None, table: Mapping[str, Any] | None, file: str) -> Monitor:
    """The monitor's options, and the problems in them."""
    problems = Problems({(): Source(file)})
    looks = read(MonitorTable, table or {}, ("monitor",), problems)
    keymap = dict(_keys(keys or {}, problems))
    for name, text_of in list(_conflicts(keymap)):
        if keymap.pop(name, None):  # reported once, not per screen
            problems.add(("keys", name), text_of)
    return Monitor(keys=keymap, problems=tuple(problems.lines), **looks.model_dump())


def _keys(table: Mapping[str, Any], problems: Problems) -> Iterator[tuple[str, str]]:
    names = {name for screen in KEYS.values() for name in screen}
    for name, value in table.items():
        if name not in names:
            problems.add(("keys", name), unknown(name, names))
            continue
        try:
            yield name, ",".join(map(_key, value if isinstance(value, list) and value else [value]))
        except InvalidValue as error:
            problems.add(("keys", name), reason(value, error))


def _key(value: Any) -> str:
    """A key as Textual names it; a single character stands for itself."""
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"is {type_name(value) if value != '' else 'empty'}; {FIX}")
    if len(value) == 1 and value.isprintable():
        return {",": "comma", " ": "space"}.get(value, value)
    name = _PART.sub("", value, count=1)
    if name in NAMED or (name != value and len(name) == 1 and name.isprintable()):
        return value
    raise InvalidValue(f"is {value!r}, which is not a key; {FIX}")


def _conflicts(keymap: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each name whose key is also used for something else on a screen where both are active."""
    for screen, names in KEYS.items():
        active = {**KEYS[EVERYWHERE], **names}
        taken: dict[str, str] = {}
        for name in sorted(active, key=lambda each: each in keymap):
            for each in map(_short, keymap.get(name, active[name]).split(",")):
                other = taken.setdefault(each, name)
                if other != name and name in keymap:
                    where = "everywhere" if screen == EVERYWHERE else f"on the {screen} screen"
                    yield name, f"{each!r} is the key of {other} {where}; choose another, or move that one"
                    break
            else:
                continue
            break


def _short(name: str) -> str:
    return _SPELLED.get(name, name)


# How people write the built-in keys.
_SPELLED = {"question_mark": "?", "slash": "/", "colon": ":", "plus": "+", "equals_sign": "=", "minus": "-"}
