"""Settings from variables (EXPERIENCE_CITIZENS__OPUS__WAKE__EVERY=5m), and the secrets in a .env."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from scheduler.core.secrets import Sensitive
from scheduler.schema.table import At, Problems

_PLACE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EXPERIENCE_", env_nested_delimiter="__", defer_build=True)

    citizens: dict[str, Any] = {}


class _Given(EnvSettingsSource):
    """Reads the given variables instead of those of this process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(_Environment)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        # Only lists and tables: a password of digits must not become a number.
        return json.loads(value) if str(value).lstrip()[:1] in ("[", "{") else value


def citizens(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The table `citizens` that the variables define, and what is wrong with them."""
    if not any(name.upper().startswith("EXPERIENCE_CITIZENS") for name in environ):
        return {}, []
    try:
        table = _Given(environ)().get("citizens", {})
    except SettingsError:
        table = None
    if isinstance(table, dict):
        return _outside(table), []
    return {}, [
        "environment: EXPERIENCE_CITIZENS: is not a table; "
        "set single keys: EXPERIENCE_CITIZENS__OPUS__WORKERS=2"
    ]


def _outside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _outside(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_outside(each) for each in value]
    return Sensitive(value) if isinstance(value, str) else value


# ------------------------------------------------------------------ the secrets in a .env


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of one .env, and the environment to fall back on. Values never show in a repr."""

    file: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    bad_lines: tuple[int, ...] = ()

    def used(self, value: Any) -> frozenset[str]:
        """Values to hide: all of the .env, and those of the environment that `value` holds or refers to."""
        return frozenset((*self.values.values(), *self._from_outside(value)))

    def _from_outside(self, value: Any) -> Iterator[str]:
        if isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                yield from self._from_outside(each)
        elif isinstance(value, Sensitive):
            yield value
        if isinstance(value, str):
            names = (place[2] for place in _PLACE.finditer(value) if place[2])
            yield from (self.environ[name] for name in names if name in self.environ)

    def fill(self, value: Any, at: At, problems: Problems) -> Any:
        """`value` with every ${NAME} in its texts replaced; `$${` stands for a plain `${`."""
        if isinstance(value, str):
            return self._fill_text(value, at, problems) if "${" in value else value
        if isinstance(value, dict):
            return {name: self.fill(each, (*at, name), problems) for name, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, at, problems) for each in value]
        return value

    def _fill_text(self, text: str, at: At, problems: Problems) -> str:
        def secret(place: re.Match[str]) -> str:
            if place[1] == "${":
                return "${"
            found = self.values.get(place[2], self.environ.get(place[2]))
            if found is None:
                problems.add(at, self._missing(place[2]))
            return found or ""

        filled = _PLACE.sub(secret, text)
        return Sensitive(filled) if filled.strip() else filled

    def _missing(self, name: str) -> str:
        if not self.file:
            return f"{name} is not in the environment; set it where experience-tui is started"
        lines = ", ".join(map(str, self.bad_lines))
        odd = f" (no NAME=value there: line {lines})" if lines else ""
        return f"{name} is neither in {self.file} nor in the environment{odd}; add it to that file"


def parse(content: str, file: str, environ: Mapping[str, str]) -> Secrets:
    """The secrets in the text of a .env file; nothing is interpolated, and os.environ stays unchanged."""
    values, bad = {}, []
    for binding in parse_stream(io.StringIO(content)):
        if binding.error:
            bad.append(binding.original.line)
        elif binding.key and binding.value is not None:
            values[binding.key] = binding.value
    return Secrets(file, values, environ, tuple(bad))
