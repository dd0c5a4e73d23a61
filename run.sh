#!/usr/bin/env bash
# Sets Experience up on the first start, then does one thing per verb. Only Python 3.11 with venv is assumed.
set -euo pipefail

help() {
    cat <<'TEXT'
usage: ./run.sh                 the monitor on every citizen (sets itself up first)
       ./run.sh --demo          the monitor on made-up citizens that touch nothing
       ./run.sh NAME            one citizen's loop, headless, in the foreground
       ./run.sh --all           every citizen's loop, each in a detached screen session experience_NAME
       ./run.sh --stop          ends those loops: asks first, insists where one hangs
       ./run.sh --status        every citizen's tasks: last run, next run, last error
       ./run.sh serve           the monitor in a browser: prints the link to open; --help says more
       ./run.sh --test [ARG]    every check and test; ARG goes to pytest
       ./run.sh --check         the same without the tests
       ./run.sh --screenshots   draws screenshots/ anew
       ./run.sh --bench [ARG]   the benchmarks
Anything else goes to the monitor: ./run.sh --no-ui, ./run.sh --citizen opus. Its own --help says more.
TEXT
}

main() {
    here=$(real_folder "${BASH_SOURCE[0]}")
    venv=$here/.venv
    python=$venv/bin/python
    case ${1-} in
        -h | --help) help && return ;;
    esac
    case ${1-} in
        --test | --check | --screenshots | --bench) set_up requirements ;; # with the tools of developers
        serve) set_up requirements-serve ;;                                # with a web server
        *) set_up requirements-run ;;
    esac
    case ${1-} in
        --all | --stop | --status) exec "$python" "$here/core.py" "$@" ;;
        --test) run_tests "${@:2}" ;;
        --check) run_checks ;;
        --screenshots) from_checkout -m tests.screens.screenshots "${@:2}" ;;
        --bench) from_checkout -m benchmarks "${@:2}" ;;
        serve) exec "$venv/bin/experience-tui" "$@" ;;
        [a-z]*) exec "$python" "$here/core.py" --citizen "$1" --loop "${@:2}" ;;
        *) exec "$venv/bin/experience-tui" "$@" ;;
    esac
}

# ---------------------------------------------------------------- checks and tests

# Every check runs, whatever became of the one before: one start tells all that is wrong.
failed=()

run_tests() {
    check_all
    check tests -m pytest "$@"
    verdict
}

run_checks() {
    check_all
    verdict
}

check_all() {
    check format -m ruff format --check .
    check lint -m ruff check .
    check types -m mypy
    # Its own command has a shebang, which a path with a blank breaks, and it has no __main__.
    check imports -c 'from importlinter.cli import lint_imports_command as lint; lint()'
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

# Brings the environment to what $1.lock says. With nothing to do it costs two small processes: a start must
# not wait for pip, nor for the network. requirements.lock holds all of the other two and the tools.
set_up() {
    lock=$here/$1.lock
    stamp=$venv/$1.stamp    # what was installed
    whole=$venv/whole.stamp # written last: an interrupted set-up is done again
    if is_set_up; then return; fi
    (
        one_at_a_time
        if is_set_up; then exit 0; fi # another start did it while this one waited
        build
    ) 9<"$here"
}

is_set_up() { [[ -f $stamp && $(<"$stamp") == "$(wanted)" ]] && is_whole; }

# What the environment was made of: a new lock file makes it stale, another Python or a moved checkout useless.
wanted() { printf '%s\n%s\n' "$(made_for)" "$(<"$lock")"; }
made_for() { printf '%s | %s | %s' "$(readlink -f "$python")" "$here" "${EXPERIENCE_PACKAGES-}"; }

# The lock sits on the checkout's folder (file 9) and ends with this process, however that ends.
# Python takes it because flock(1) is not everywhere.
one_at_a_time() {
    base=$(find_python)
    local take='import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[1:] else 0))'
    "$base" -c "$take" now 2>/dev/null && return
    echo "experience: waiting for another set-up to end" >&2
    "$base" -c "$take"
}

build() {
    echo "experience: setting up $venv (once)" >&2
    # A whole environment is brought up to date in place: a monitor that runs from it must not lose its files.
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

# EXPERIENCE_PACKAGES names a folder that holds the packages already, for tests and for distributions.
install_packages() {
    if [[ -n ${EXPERIENCE_PACKAGES-} ]]; then
        echo "$EXPERIENCE_PACKAGES" >"$(site_packages)/packages.pth"
        return
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
        --require-hashes -r "$lock" || stop "pip could not install $lock: mend what it says, then start again"
}

# The checkout itself is not built: a .pth file and a launcher are all that it takes.
# -P keeps the working folder off the path: a `tui` folder there must not be run instead of ours.
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
    if command -v apt >/dev/null; then
        echo "$1-venv is missing: apt install $1-venv"
    else
        echo "$1 lacks its modules venv and ensurepip: install them with your package manager"
    fi
}

without_python() {
    if command -v python3 >/dev/null; then
        echo "Python 3.11 or newer is needed, this is $(python3 --version 2>&1): install a newer one beside it"
    else
        echo "python3 is missing: install Python 3.11 or newer (apt install python3 python3-venv)"
    fi
}

# ---------------------------------------------------------------- small parts

stop() {
    echo "experience: $*" >&2
    exit 2
}

# The folder of a file, through any symbolic links to it.
real_folder() {
    local file
    file=$(readlink -f "$1")
    echo "${file%/*}"
}

main "$@"
