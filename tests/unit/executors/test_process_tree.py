"""By which signs the processes of a run are found, and what is never taken for a sign."""

from scheduler.executors.process_tree import Family, ProcessEntry
from scheduler.process.process_info import Running

LEADER = Running(100, 1.0, 0.0)


def entry(pid: int, parent: int = 1, mark: str = "", group: int = 0, output: int = 0) -> ProcessEntry:
    outputs = (output,) if output else ()
    return ProcessEntry(pid, float(pid), parent, group or pid, group or pid, mark, outputs)


def test_a_run_is_found_by_mark_group_output_descent_and_memory() -> None:
    family = Family("m", LEADER, pipe=7, seen=frozenset({(105, 105.0)}))
    machine = [
        entry(101, mark="m"),
        entry(102, group=100),
        entry(103, output=7),
        entry(104, parent=103),
        entry(105),
        entry(200, mark="other"),
        entry(201),
    ]
    assert [one.pid for one in family.members(machine)] == [101, 102, 103, 104, 105]


def test_no_mark_is_no_sign() -> None:
    """Every process of the machine that is no run has none."""
    assert Family("", LEADER).members([entry(2), entry(3, parent=2)]) == []


def test_a_reused_number_is_no_sign() -> None:
    family = Family("m", LEADER)
    stranger = ProcessEntry(100, 99.0, 1, 100, 100, "")
    assert family.members([stranger, entry(101, group=100)]) == []
