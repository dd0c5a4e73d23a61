"""One rule asked of many cases in one test: the case that fails is named."""

import functools
import inspect
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any


def each(names: str | Sequence[str], cases: Iterable[Any]) -> Callable[[Callable[..., Any]], Any]:
    """Like `pytest.mark.parametrize`, as one test: for cases that are quick and leave nothing behind.

    What they leave in `tmp_path` or `home` does no harm: each case has a new folder there.
    """
    alone = isinstance(names, str) and "," not in names
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    known = [dict(zip(keys, (case,) if alone else case, strict=True)) for case in cases]
    assert known, "a rule without a case is not tested"

    def decorated(test: Callable[..., Any]) -> Any:
        if inspect.iscoroutinefunction(test):

            @functools.wraps(test)
            async def asked(**given: Any) -> None:
                for number, case in enumerate(known):
                    with _Named(case):
                        await test(**_own_folder(given, number), **case)
        else:

            @functools.wraps(test)
            def asked(**given: Any) -> None:
                for number, case in enumerate(known):
                    with _Named(case):
                        test(**_own_folder(given, number), **case)

        given = inspect.signature(test)
        left = [parameter for name, parameter in given.parameters.items() if name not in keys]
        asked.__signature__ = given.replace(parameters=left)  # pytest looks here for fixtures
        return asked

    return decorated


def _own_folder(given: dict[str, Any], number: int) -> dict[str, Any]:
    fresh = {}
    if "tmp_path" in given:
        fresh["tmp_path"] = given["tmp_path"] / f"case{number}"
        fresh["tmp_path"].mkdir()
    if "home" in given:  # with what its fixture put there, under the same name
        fresh["home"] = given["home"].parent / f"home{number}" / given["home"].name
        shutil.copytree(given["home"], fresh["home"])
    return {**given, **fresh}


class _Named(AbstractContextManager[None]):
    """Adds the case to whatever goes wrong with it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._case = case

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(
                f"the case: {', '.join(f'{name}={value!r}' for name, value in self._case.items())}"
            )
