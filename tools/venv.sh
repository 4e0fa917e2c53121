#!/bin/sh
# Makes .venv and installs the project into it, at the versions in constraints.txt.
#
#   tools/venv.sh        what a learner needs
#   tools/venv.sh dev    what the tests need as well
#
# Does nothing if nothing has changed since the last time. PYTHON=/path/to/python chooses the Python.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11
    fi
    for candidate; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "Gryadka needs Python 3.11 or newer, and found none (tried: $*)." \
        "Install it (Debian or Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python)," \
        "or name one: make lab PYTHON=/path/to/python3.12"
}

make_venv() {
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "$python cannot make virtual environments: its venv module is missing or incomplete." \
            "Install it (Debian or Ubuntu: sudo apt install python3-venv) and try again."
    "$python" -m venv --clear .venv
    pwd >.venv/made-in
}

# A .venv that was moved, or whose Python has gone since, cannot be mended: it is made again.
usable() {
    .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 &&
        { [ ! -e .venv/made-in ] || [ "$(cat .venv/made-in)" = "$(pwd)" ]; }
}

usable || make_venv
# What is installed from jupyter_config is a copy, at most three folders down.
lists="pyproject.toml constraints.txt tools/venv.sh jupyter_config/* jupyter_config/*/* jupyter_config/*/*/*"
wanted=$(cat $lists 2>/dev/null | cksum; .venv/bin/python -V)
for stamp in .venv/installed-dev ".venv/installed-$extra"; do
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        exit 0
    fi
done
echo "Installing into .venv. The first time this takes a minute or two."
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable ".${extra:+[$extra]}"
echo "$wanted" >".venv/installed-$extra"
