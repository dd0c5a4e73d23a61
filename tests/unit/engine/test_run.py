"""What threads of a run report at the same moment."""

import sys
from types import FrameType
from typing import Any

from scheduler.core.costs import Usage
from scheduler.core.task import Trigger
from scheduler.engine.run import RunHandle

MOST_STEPS = 1000


def test_tokens_that_two_threads_count_first_are_all_counted() -> None:
    """Whichever instruction of `use` the other thread comes between."""
    for step in range(MOST_STEPS):
        run = RunHandle("dream", Trigger.SCHEDULE, 0.0)
        came_between = _use_with_another_at(run, step)
        if not came_between:
            break
        assert {each.model for each in run.used or ()} == {"ours", "theirs"}, step
    assert 5 < step < MOST_STEPS - 1


def _use_with_another_at(run: RunHandle, step: int) -> bool:
    """Call `use`, and another thread's before so many instructions of it; whether it has so many."""
    steps = 0
    came_between = False

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps, came_between
        if frame.f_code is not RunHandle.use.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if steps == step:
                came_between = True
                sys.settrace(None)
                run.use(Usage("theirs", 1, 1))
                sys.settrace(trace)
            steps += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run.use(Usage("ours", 1, 1))
    finally:
        sys.settrace(before)
    return came_between
