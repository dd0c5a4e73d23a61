"""Where processes of one user share what concerns a whole root."""

from pathlib import Path

from scheduler.system import root_folder as module
from scheduler.system.root_folder import root_folder


def test_a_root_of_this_user_holds_it(tmp_path: Path) -> None:
    assert root_folder(tmp_path) == tmp_path / ".experience"


def test_for_a_root_of_somebody_else_it_lies_with_the_user_one_for_each_root(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(module, "is_ours", lambda path: False)
    (tmp_path / "link").symlink_to("/home")
    home, same, other = (root_folder(Path(each)) for each in ("/home", str(tmp_path / "link"), "/srv"))
    assert home == same != other
    assert home.parent == tmp_path / "state" / "experience" / "roots"
