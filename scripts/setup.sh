# Sourced by the other scripts, from the project's folder: makes .venv with what the file named in
# $requirements asks for, once. Sets $python. A second call only compares a checksum.
set -eu

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    found=$(python3 --version 2>/dev/null || printf 'no Python')
    say "pincite needs Python 3.11 or newer and found $found: install one, or name it: PYTHON=/path/to/python3.11 $0"
    exit 1
}

python=.venv/bin/python
stamp=.venv/installed
extras="requirements-api.txt requirements-cluster.txt requirements-datasets.txt requirements-int8.txt requirements-integrations.txt requirements-mcp.txt"
sum_with() { cat requirements.txt $extras "$1" | cksum; }
wanted=$(sum_with "$requirements")

if ! "$python" -c '' 2>/dev/null || ! grep -qxF "$wanted" "$stamp" 2>/dev/null; then
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        base=$(find_python) || exit 1
        rm -rf .venv
        "$base" -m venv .venv || {
            say "$base cannot make a virtual environment: install its venv module (on Debian and Ubuntu: python3-venv)"
            exit 1
        }
    fi
    rm -f "$stamp"
    say "installing $requirements into .venv (the first time takes a few minutes)"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements" || {
        say "the packages could not be installed: look at the lines above, and run $0 again"
        exit 1
    }
    # What the tests need holds what the page needs.
    printf '%s\n%s\n' "$(sum_with requirements.txt)" "$wanted" >"$stamp"
fi
