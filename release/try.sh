#!/usr/bin/env bash
# Installs what build.sh made in every way that the documents name, each into a fresh environment, and lives a day with it.
# release/try.sh [DIST]; ends with 1 at the first thing that is not as it should be, and says which.
set -euo pipefail
PATIENCE=120 # seconds in which a loop starts, on a busy machine, too

dist=$(readlink -f "${1:-dist}")
wheel=$(echo "$dist"/*.whl)
file=$(echo "$dist"/*.pyz)
place=$(mktemp -d /tmp/try.XXXXXX)
trap 'rm -rf "$place"' EXIT
unset PYTHONPATH EXPERIENCE_CONFIG EXPERIENCE_PACKAGES VIRTUAL_ENV
export HOME=$place/home XDG_DATA_HOME=$place/data XDG_CONFIG_HOME=$place/config XDG_BIN_HOME=$place/bin UV_CACHE_DIR=$place/cache
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIPX_HOME=$place/pipx PIPX_BIN_DIR=$place/bin UV_TOOL_DIR=$place/tools
mkdir -p "$HOME" "$place/elsewhere"
cd "$place/elsewhere"

main() {
    python3 -m venv "$place/helpers"
    "$place/helpers/bin/pip" install --quiet uv pipx
    uv=$place/helpers/bin/uv pipx=$place/helpers/bin/pipx

    say "pip install"
    python3 -m venv "$place/pip"
    "$place/pip/bin/pip" install --quiet "$wheel"
    day "$place/pip/bin/experience-tui"
    { "$place/pip/bin/experience-core" --citizen opus --status || true; } | expects "tick: ran"
    [[ -f $place/pip/share/doc/experience-tui/docs/commands.md ]] || wrong "the documents are not installed"

    say "uv tool run (uvx)"
    "$uv" tool run --quiet --from "$wheel" experience-tui --version | expects "Experience, version"
    say "uv tool install"
    "$uv" tool install --quiet "$wheel"
    day "$place/bin/experience-tui"
    "$uv" tool uninstall --quiet experience-tui
    say "pipx run"
    "$pipx" run --spec "$wheel" experience-tui --version 2>/dev/null | expects "Experience, version"
    say "pipx install"
    "$pipx" install --quiet "$wheel" >/dev/null 2>&1
    day "$place/bin/experience-tui"
    say "the one-file program"
    day "$file"

    say "run.sh of the source archive"
    tar xzf "$dist"/*.tar.gz -C "$place"
    day "$(echo "$place"/experience_tui-*/run.sh)"

    say "beside the package scheduler of the index"
    "$place/pip/bin/pip" install --quiet scheduler
    strangers scheduler
    say "beside the package tui of the index"
    "$place/pip/bin/pip" install --quiet --force-reinstall --no-deps "$wheel"
    "$place/pip/bin/pip" install --quiet --no-deps tui
    strangers tui
    echo "all is well"
}

# What a new user does on the first day, on a root of its own.
day() {
    export EXPERIENCE_ROOT=$place/root
    rm -rf "$EXPERIENCE_ROOT"
    "$1" --version | expects "Experience, version"
    "$1" init opus | expects "made opus"
    "$1" add opus tick --every 1h -- echo it ticks | expects "added tick"
    echo 'def count(citizen): return f"counted for {citizen}"' >"$EXPERIENCE_ROOT/opus/words.py"
    "$1" add opus words --every 1h --set 'handler=words.py:count' | expects "added words"
    "$1" up | expects "opus: started"
    "$1" force opus tick words --wait 2>&1 | expects "it ticks" "counted for opus"
    "$1" doctor --alive
    "$1" logs opus tick | expects "it ticks"
    "$1" down | expects "opus: ended"
    "$1" loop opus >"$place/loop" 2>&1 &
    local pid=$! end=$((SECONDS + PATIENCE))
    until "$1" doctor --alive 2>/dev/null; do
        kill -0 "$pid" 2>/dev/null || wrong "the loop ended: $(<"$place/loop")"
        ((SECONDS < end)) || wrong "the loop is not alive after $PATIENCE s: $(<"$place/loop")"
        sleep 0.2
    done
    "$1" down | expects "opus: ended"
    wait "$pid" || wrong "a loop that down ends has exit code $?"
    expects "Experience" <"$place/loop"
}

# The command in the pip environment, after another package took the name $1.
strangers() {
    local code=0
    "$place/pip/bin/experience-tui" --version >"$place/out" 2>&1 || code=$?
    ((code == 2)) || wrong "exit code $code: $(<"$place/out")"
    (($(wc -l <"$place/out") == 1)) || wrong "more than one line: $(<"$place/out")"
    expects "/$1/__init__.py belongs to $1" "pipx install" <"$place/out"
}

expects() {
    local text word
    text=$(cat)
    for word in "$@"; do
        [[ $text == *"$word"* ]] || wrong "expected: $word; got: $text"
    done
}

say() { echo "-- $1"; }

wrong() {
    echo "wrong: $1" >&2
    exit 1
}

main
