"""Merges a citizen's settings with pydantic-settings: environment over own file over main file."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from scheduler.schema.table import At, Source

# A key in a higher layer replaces these in lower ones, since both answer the same question.
_REPLACES: Mapping[str, At] = {
    "every": ("cron", "timezone"),
    "cron": ("every",),
    "command": ("handler", "isolated"),
    "handler": ("command", "input", "environment", "inherit_environment", "working_folder"),
    "url": ("key",),  # one server's key must not reach another
}


class Layer(InitSettingsSource):
    """The settings of one file or of the environment, without the keys that a higher layer replaces."""

    def __init__(self, table: Mapping[str, Any], source: Source, where: dict[At, Source]) -> None:
        super().__init__(_Merged, {**table})
        self._source, self._where = source, where

    def __call__(self) -> dict[str, Any]:
        above = [at for at in self._where if at and _is_choice(at[:-1])]
        replaced = {(*at[:-1], name) for at in above for name in _REPLACES.get(at[-1], ())}
        self._where.setdefault((), self._source)
        return self._kept(self.init_kwargs, (), replaced)

    def _kept(self, table: Mapping[str, Any], at: At, replaced: set[At]) -> dict[str, Any]:
        kept = {}
        for name, value in table.items():
            path = (*at, name)
            self._where.setdefault(path, self._source)  # a replaced key still replaces those below
            of_hours = name == "timezone" and "active" in table
            if path not in replaced or of_hours:
                kept[name] = self._kept(value, path, replaced) if isinstance(value, dict) else value
        return kept


class _Merged(BaseSettings):
    """The merged table of several layers, highest first; its values are read later."""

    model_config = SettingsConfigDict(extra="allow", defer_build=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(init_settings, InitSettingsSource)
        layers: tuple[PydanticBaseSettingsSource, ...] = init_settings.init_kwargs["layers"]
        return layers


def _is_choice(at: At) -> bool:
    return at in (("wake",), ("llm",)) or (len(at) == 2 and at[0] == "tasks")


def merge(tables: Iterable[tuple[Mapping[str, Any], Source]]) -> tuple[dict[str, Any], dict[At, Source]]:
    """The merged table of `tables`, highest first, and where each key in it was written."""
    where: dict[At, Source] = {}
    layers = tuple(Layer(table, source, where) for table, source in tables if table)
    return _Merged(layers=layers).model_extra or {}, where
