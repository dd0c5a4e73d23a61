"""A citizen's secrets: reads its .env and puts them where the settings say ${NAME}."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.core.secrets import Sensitive
from scheduler.schema.table import At, Problems

_PLACE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)\})")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The names in one .env, and the environment behind it. Values never show in a repr."""

    file: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    bad_lines: tuple[int, ...] = ()

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

        return Sensitive(_PLACE.sub(secret, text))

    def _missing(self, name: str) -> str:
        lines = ", ".join(map(str, self.bad_lines))
        odd = f" (no NAME=value there: line {lines})" if lines else ""
        return f"{name} is neither in {self.file} nor in the environment{odd}; add it to that file"


def parse(content: str, file: str, environ: Mapping[str, str]) -> Secrets:
    """The secrets in the text of a .env file; nothing is interpolated, nothing reaches os.environ."""
    from dotenv.parser import parse_stream  # 35 ms that only citizens with a .env pay

    values, bad = {}, []
    for binding in parse_stream(io.StringIO(content)):
        if binding.error:
            bad.append(binding.original.line)
        elif binding.key and binding.value is not None:
            values[binding.key] = binding.value
    return Secrets(file, values, environ, tuple(bad))
