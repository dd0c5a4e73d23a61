#!/usr/bin/env bash
# Builds a release into dist/: the wheel, the source archive, the program as one file, the manual page; then installs and
# starts each of them. With --no-try it only builds. Needs Python 3.11, venv and a package index.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$here/build/release
dist=$here/dist
tools=$work/tools/bin/python

main() {
    cd "$here"
    rm -rf "$work" "$dist" "$here/build/lib" "$here"/build/bdist.*
    mkdir -p "$work" "$dist"
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)
    export SOURCE_DATE_EPOCH
    step "tools" install_tools
    step "wheel and source archive" "$tools" -m build --no-isolation --outdir "$dist" "$here"
    version=$("$tools" -c 'from scheduler.system.version import VERSION; print(VERSION)')
    step "packages of the one-file program" collect_packages
    step "one-file program" pack
    step "manual page" write_manual
    if docker info >/dev/null 2>&1; then # the command may be there without its service
        step "image" docker build --tag "experience:$version" "$here"
    else
        echo "== image: left out, no docker runs here; tests read the Dockerfile" >&2
    fi
    if [[ ${1-} != --no-try ]]; then release/try.sh "$dist"; fi
    (cd "$dist" && sha256sum -- * >SHA256SUMS)
    remind
    ls -l "$dist"
}

step() {
    echo "== $1"
    "${@:2}" >"$work/log" 2>&1 || { cat "$work/log" >&2 && exit 1; }
}

install_tools() {
    python3 -m venv "$work/tools"
    "$tools" -m pip install --disable-pip-version-check --require-hashes -r release/tools.lock
}

# What runs from a checkout runs from the file: the same lock.
collect_packages() {
    local pip=("$tools" -m pip install --disable-pip-version-check --no-compile --target "$work/packages")
    "${pip[@]}" --require-hashes -r requirements-run.lock
    "${pip[@]}" --no-deps "$dist"/*.whl
}

# Some packages hold machine code, so the file is for one Python and one kind of machine, which its name says.
pack() {
    local kind
    kind=$("$tools" -c 'import sys, sysconfig as s; print(f"py{sys.version_info.major}{sys.version_info.minor}-{s.get_platform()}")')
    "$work/tools/bin/shiv" --site-packages "$work/packages" --preamble release/unpacked.py --entry-point experience_tui:main \
        --compressed --reproducible --python '/usr/bin/env python3' --output-file "$dist/experience-tui-$version-${kind//-/_}.pyz"
}

write_manual() { PYTHONPATH=$here:$work/packages "$tools" -m release.manual >"$dist/experience-tui.1"; }

remind() {
    if grep -q '\.example' pyproject.toml; then
        echo "before you publish: [project.urls] in pyproject.toml still names reserved addresses" >&2
    fi
    if ! grep -q "^## \[$version\] - " CHANGELOG.md; then
        echo "before you publish: CHANGELOG.md has no dated heading of $version" >&2
    fi
}

main "$@"
