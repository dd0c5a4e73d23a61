"""Changes of settings by root, in files of which some lie in the home of an agent."""

from tests.security.machine import Machine

MAIN = """\
[citizens.evil.tasks.report]
every = "1h"
command = ["true"]

[citizens.good.tasks.secret]
every = "1h"
command = ["deploy", "--password", "hunter2hunter2"]
"""


def test_what_the_main_file_says_of_others_does_not_get_into_a_home(machine: Machine) -> None:
    (machine.folder / "main.toml").write_text(MAIN)
    (machine.folder / "main.toml").chmod(0o600)
    printed = machine.experience("remove", "evil", "report", code=0)
    assert "report" not in (machine.folder / "main.toml").read_text()
    found = [path for path in machine.home.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert not found
    assert "to undo" not in printed, printed
