#!/usr/bin/env bash
# Sets up Experience at the first start, then does one thing per verb. Needs Python 3.11 with venv.
set -euo pipefail

help() {
    cat <<'TEXT'
usage: ./run.sh                 the monitor of every citizen
       ./run.sh --demo          the monitor of made-up citizens
       ./run.sh NAME            one citizen's loop, in the foreground
       ./run.sh up [NAME]       loops in the background (or --all)
       ./run.sh down [NAME]     stops those loops (or --stop)
       ./run.sh status [NAME]   last run, next run, last error (or --status)
       ./run.sh VERB [ARG]      any command of experience-tui: force, logs ...
       ./run.sh serve           the monitor in a browser: prints the link
       ./run.sh --test [ARG]    all checks and tests; ARG goes to pytest
       ./run.sh --check         the checks without the tests
       ./run.sh --screenshots   redraws screenshots/
       ./run.sh --bench [ARG]   the benchmarks
       ./run.sh --release       builds dist/, and tries what it built
The first start makes the environment .venv. All other arguments go to
experience-tui: ./run.sh --no-ui, ./run.sh --citizen opus. ./run.sh help lists
its commands.
TEXT
}

main() {
    here=$(readlink -f "${BASH_SOURCE[0]}") # through symbolic links
    here=${here%/*}
    venv=$here/.venv
    python=$venv/bin/python
    case ${1-} in
        -h | --help) help && return ;;
        --release) exec "$here/release/build.sh" "${@:2}" ;; # with tools of its own
    esac
    case ${1-} in
        --test | --check | --screenshots | --bench) set_up requirements ;; # with the tools of developers
        serve) set_up requirements-serve ;;                                # with a web server
        *) set_up requirements-run ;;
    esac
    case ${1-} in
        --all | --stop | --status) exec "$python" "$here/core.py" "$@" ;;
        --test) check_all && run_tests "${@:2}" && verdict ;;
        --check) check_all && verdict ;;
        --screenshots) from_checkout -m tests.screens.pictures.screenshots "${@:2}" ;;
        --bench) from_checkout -m benchmarks "${@:2}" ;;
        *) exec "$venv/bin/experience-tui" "$@" ;;
    esac
}

# ---------------------------------------------------------------- checks and tests

# Every check runs, also after one that failed: one start shows everything that is wrong.
failed=()

check_all() {
    check format -m ruff format --check .
    check lint -m ruff check .
    check types -m mypy
    # lint-imports has a shebang, which a path with a blank breaks, and no __main__.
    check imports -c 'from importlinter.cli import lint_imports_command as lint; lint()'
    check dependencies -m deptry . --no-ansi
    NO_MKDOCS_2_WARNING=1 check documents -m mkdocs build --quiet --strict --site-dir "$here/build/site"
}

# On all cores, in a folder with a short name: a socket's path has room for a hundred characters.
run_tests() {
    local folder
    folder=$(mktemp -d /tmp/x.XXXXXX)
    check tests -m pytest -n logical --maxprocesses 4 --dist worksteal --basetemp "$folder" "$@"
    rm -rf "$folder"
}

check() {
    echo "== $1"
    from_checkout "${@:2}" || failed+=("$1")
}

verdict() {
    if ((${#failed[@]})); then
        echo "failed: ${failed[*]}" >&2
        return 1
    fi
}

from_checkout() { (cd "$here" && "$python" "$@"); }

# ---------------------------------------------------------------- set-up

# Installs what $1.lock lists. With nothing to do it costs two small processes: a start must not wait for pip
# or the network. requirements.lock holds everything in the other two, and the tools.
set_up() {
    lock=$here/$1.lock
    stamp=$venv/$1.stamp    # what is installed
    whole=$venv/whole.stamp # written last: an interrupted set-up is repeated
    if is_set_up; then return; fi
    (
        one_at_a_time
        if is_set_up; then exit 0; fi # another start did it while this one waited
        build
    ) 9<"$here"
}

is_set_up() { [[ -f $stamp && $(<"$stamp") == "$(wanted)" ]] && is_whole; }

# What the environment is made of: a new lock file makes it stale, another Python or a moved checkout useless.
wanted() { printf '%s\n%s\n' "$(made_for)" "$(<"$lock")"; }
made_for() { printf '%s | %s | %s' "$(readlink -f "$python")" "$here" "${EXPERIENCE_PACKAGES-}"; }

# The lock is on the checkout's folder (file 9) and ends with this process. Python takes it, because flock(1)
# is not everywhere.
one_at_a_time() {
    base=$(find_python)
    local take='import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[1:] else 0))'
    "$base" -c "$take" now 2>/dev/null && return
    echo "experience: waiting for another set-up to end" >&2
    "$base" -c "$take"
}

build() {
    echo "experience: setting up $venv (once)" >&2
    # A whole environment is updated in place: a monitor that runs from it must not lose its files.
    is_whole || make_environment
    rm -f "$whole" "$stamp" # unfinished from here on, until they are back
    install_packages
    install_command
    wanted >"$stamp"
    made_for >"$whole"
}

is_whole() { [[ -x $python && -f $whole && $(<"$whole") == "$(made_for)" ]]; }

make_environment() {
    local without_pip=()
    if [[ -n ${EXPERIENCE_PACKAGES-} ]]; then without_pip=(--without-pip); fi
    "$base" -m venv --clear ${without_pip[@]+"${without_pip[@]}"} "$venv" || stop "could not make $venv"
}

# EXPERIENCE_PACKAGES is a folder that holds the packages already, for tests and for distributions.
install_packages() {
    if [[ -n ${EXPERIENCE_PACKAGES-} ]]; then
        echo "$EXPERIENCE_PACKAGES" >"$(site_packages)/packages.pth"
        return
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
        --require-hashes -r "$lock" || stop "pip could not install $lock: fix what it reports, then start again"
}

# The checkout itself is not built: a .pth file and a launcher are enough.
# -P keeps the working folder off the path: a `tui` folder there must not run instead.
install_command() {
    local quoted=${venv//\'/\'\\\'\'}
    echo "$here" >"$(site_packages)/experience.pth"
    printf "#!/bin/sh\nexec '%s/bin/python' -P -m tui \"\$@\"\n" "$quoted" >"$venv/bin/experience-tui"
    chmod +x "$venv/bin/experience-tui"
}

site_packages() { "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import ensurepip, venv' 2>/dev/null || stop "$(without_venv "$candidate")"
            echo "$candidate"
            return
        fi
    done
    stop "$(without_python)"
}

without_venv() {
    local fix="install its modules venv and ensurepip with your package manager"
    if command -v apt >/dev/null; then fix="apt install $1-venv"; fi
    echo "$1-venv is missing: $fix"
}

without_python() {
    local found
    found=$(python3 --version 2>&1) || found="not installed"
    echo "python3 is $found, but 3.11 or newer is needed: install it (apt install python3 python3-venv)"
}

# ---------------------------------------------------------------- small parts

stop() {
    echo "experience: $*" >&2
    exit 2
}

main "$@"
