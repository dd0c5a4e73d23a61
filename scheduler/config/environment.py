"""Settings from the environment: EXPERIENCE_CITIZENS__OPUS__WAKE__EVERY=5m and its like.

The only user of pydantic-settings (200 ms): imported when such a variable is there.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from scheduler.core.secrets import Sensitive


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EXPERIENCE_", env_nested_delimiter="__")

    citizens: dict[str, Any] = {}


class _Given(EnvSettingsSource):
    """The variables that were handed in, instead of the process's own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(_Environment)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        # Only lists and tables: a password of digits must not become a number.
        return json.loads(value) if str(value).lstrip()[:1] in ("[", "{") else value


def citizens(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The table `citizens` that the variables spell, and what is wrong with them."""
    try:
        table = _Given(environ)().get("citizens", {})
    except SettingsError:
        table = None
    if isinstance(table, dict):
        return _outside(table), []
    return {}, [
        "environment: EXPERIENCE_CITIZENS: is no table; set single keys: EXPERIENCE_CITIZENS__OPUS__WORKERS=2"
    ]


def _outside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _outside(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_outside(each) for each in value]
    return Sensitive(value) if isinstance(value, str) else value
