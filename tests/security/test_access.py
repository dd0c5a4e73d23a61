"""One module opens what lies in homes; the few others that touch files by name say why they may."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.each import each

SOURCE = Path(__file__).parents[2] / "scheduler"
# Calls that, given a name in a home, follow what its user put there. With `dir_fd` they go by descriptor.
BY_NAME = {
    "os": {"chmod", "chown", "lchown", "link", "makedirs", "mkdir", "mkfifo", "open", "remove", "rename"}
    | {"renames", "replace", "rmdir", "symlink", "truncate", "unlink", "utime"},
    "shutil": {"chown", "copy", "copy2", "copyfile", "copytree", "move", "rmtree"},
    "sqlite3": {"connect"},
}
METHODS = {"chmod", "hardlink_to", "lchmod", "mkdir", "open", "read_bytes", "read_text", "rename", "rmdir"}
METHODS |= {"symlink_to", "touch", "unlink", "write_bytes", "write_text"}
OTHERS = {*BY_NAME, "at", "partial", "server", "gzip", "tarfile", "Connection"}  # their methods open no path
ALLOWED = {
    "system/foreign_home.py": "it is the module",
    "agents/refusals/find_refusal.py": "the words of refusals: a file of this program",
    "cluster/database.py": "the tables: a file of this program",
    "cluster/workers/procrastinate_jobs.py": "the tables of Procrastinate: a file of that package",
    "process/adopted.py": "files of /proc",
    "process/process_info.py": "files of /proc",
    "process/startup.py": "files of /proc",
    "config/new_home.py": "makes the root and a new home, where there was none",
    "runtime/systemd_unit.py": "units, in a folder of the administrator or of this user",
    "runtime/headless.py": "the terminal",
    "executors/": "runs what its own user's settings name",
    "handlers/offsite_backup/archive.py": "the folder of the backups, by the process that owns the home",
    "handlers/offsite_backup/files.py": "reads the first bytes, with O_NOFOLLOW",
    "handlers/offsite_backup/databases.py": "SQLite opens by name; copies, by the process that owns the home",
    "handlers/news_scan/": "by the process that owns the home",
    "handlers/price_monitor/files.py": "by the process that owns the home",
    "handlers/memory_summary/pruning.py": "removes empty folders, by the process that owns the home",
    "storage/history_file.py": "SQLite opens by name; which file it took is compared",
    "storage/history_reader.py": "SQLite opens by name; which file it took is compared",
    "system/hanging_disks.py": "a file of /proc",
    "system/unix_socket.py": "removes the empty folder of the group; files of /proc",
}


def calls(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or {each.arg for each in node.keywords} & {"dir_fd", "src_dir_fd"}:
            continue
        match node.func:
            case ast.Name("open") if not (node.args and _is_descriptor(node.args[0])):
                yield node.lineno, "open"
            case ast.Attribute(ast.Name("os"), "utime") if _is_descriptor(node.args[0]):
                continue
            case ast.Attribute(ast.Call(ast.Name("Place")), "open"):
                continue
            case ast.Attribute(ast.Name(module), name) if name in BY_NAME.get(module, ()):
                yield node.lineno, f"{module}.{name}"
            case ast.Attribute(value, name) if name in METHODS and not _is_module(value):
                yield node.lineno, f".{name}"


def _is_descriptor(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Name | ast.Call)


def _is_module(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in OTHERS


def test_nothing_but_one_module_touches_files_of_homes_by_name():
    found = [
        f"{path}:{line}: {what}"
        for file in sorted(SOURCE.rglob("*.py"))
        if not (path := str(file.relative_to(SOURCE))).startswith(tuple(ALLOWED))
        for line, what in calls(file.read_text())
    ]
    assert found == []


@each(
    "line",
    [
        "os.chown(path, 1, 1)",
        "path.chmod(0o600)",
        "shutil.chown(path, 'games')",
        "os.open(path, os.O_RDONLY)",
        "open(f'{home}/x')",
        "(home / 'x').write_text('')",
        "file.parent.mkdir(parents=True)",
    ],
)
def test_a_line_that_goes_by_name_is_found(line):
    assert list(calls(line))


@each("line", ["os.open('x', 0, dir_fd=folder)", "os.fchmod(descriptor, 0)", "open(file)"])
def test_a_line_that_goes_by_descriptor_is_not(line):
    assert not list(calls(line))
