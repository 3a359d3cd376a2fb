# Sourced by the other scripts (POSIX sh): makes the private environment .venv with exactly the packages of uv.lock.
# Afterwards $python is its Python, and the working folder is the project's. It changes nothing outside the project.
#
#   prepare_environment runtime|dev     what to install; "dev" includes all of "runtime"

UV_VERSION=0.13.9

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

say() {
    printf '%s\n' "$*"
}

# A relative ACADEMY_HOME is relative to the caller's folder, not to the project's.
keep_academy_home() {
    case "${ACADEMY_HOME-}" in
        '' | /*) ;;
        *) ACADEMY_HOME=$PWD/$ACADEMY_HOME && export ACADEMY_HOME ;;
    esac
}

# Use no other Python environment or cache, and change none. Keep bytecode in the project, because each of the many
# processes would compile all modules again; keep assertions, because the tests consist of them.
isolate() {
    unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONOPTIMIZE
    unset PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV CONDA_PREFIX UV_PROJECT_ENVIRONMENT UV_PYTHON UV_EXTRA_INDEX_URL
    UV_CACHE_DIR=$project/.tools/cache/uv
    PIP_CACHE_DIR=$project/.tools/cache/pip
    UV_PYTHON_DOWNLOADS=never
    UV_NO_CONFIG=1
    PIP_DISABLE_PIP_VERSION_CHECK=1
    PIP_ROOT_USER_ACTION=ignore
    export UV_CACHE_DIR PIP_CACHE_DIR UV_PYTHON_DOWNLOADS UV_NO_CONFIG
    export PIP_DISABLE_PIP_VERSION_CHECK PIP_ROOT_USER_ACTION
}

is_suitable() {
    "$1" -I -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# Sets $base to the real path of a Python 3.11-3.13 (pyenv's shims may choose another one in other folders).
find_python() {
    for candidate in python3.13 python3.12 python3.11 python3 python \
        "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.1[123]*/bin/python3; do
        if is_suitable "$candidate"; then
            base=$("$candidate" -I -c 'import sys; print(sys.executable)')
            return
        fi
    done
    fail "No Python 3.11, 3.12 or 3.13 was found: install one (on Debian and Ubuntu: apt install python3 python3-venv), then run this again."
}

# Sets $uv to the uv on PATH, or else to our own in .tools/uv, which pip installs in a fixed version.
find_uv() {
    uv=uv
    ! uv --version >/dev/null 2>&1 || return 0
    uv=$project/.tools/uv/bin/uv
    [ "$("$uv" --version 2>/dev/null | cut -d ' ' -f 2)" != "$UV_VERSION" ] || return 0
    say "Installing uv $UV_VERSION into .tools/ (once)"
    rm -rf .tools/uv
    mkdir -p .tools
    if "$base" -I -c 'import ensurepip, venv' 2>/dev/null; then
        "$base" -I -m venv .tools/uv || fail "A virtual environment could not be made in $project/.tools."
        .tools/uv/bin/python -m pip install --quiet --no-input "uv==$UV_VERSION" || no_network
    elif "$base" -m pip --version >/dev/null 2>&1; then
        "$base" -m pip install --quiet --no-input --target .tools/uv "uv==$UV_VERSION" || no_network
    else
        fail "Python's modules venv and ensurepip are missing: install them (on Debian and Ubuntu: apt install python3-venv) or put uv on PATH."
    fi
}

no_network() {
    fail "The packages could not be downloaded from pypi.org (see above): check the network, then run this again."
}

# Prints what .venv/installed must contain: runtime or dev, and the checksum of uv.lock and pyproject.toml.
wanted_stamp() {
    printf '%s %s\n' "$1" "$(cat uv.lock pyproject.toml | cksum)"
}

is_current() {
    [ -f .venv/installed ] && .venv/bin/python -I -c '' 2>/dev/null || return 1
    stamp=$(cat .venv/installed)
    [ "$stamp" = "$(wanted_stamp "$1")" ] || [ "$stamp" = "$(wanted_stamp dev)" ]
}

install_packages() {
    say "Installing the packages of uv.lock into .venv/ (once, and again when the lock changes)"
    # If the environment has the development tools, keep them, because script/test may be using them now.
    case "$(cat .venv/installed 2>/dev/null)" in dev*) set -- dev ;; esac
    mkdir -p .tools/tmp
    case $1 in
        dev) options='--group dev' ;;
        *) options='--no-dev --group embedded --inexact' ;;
    esac
    # shellcheck disable=SC2086 # the options are words
    if ! TMPDIR=$project/.tools/tmp "$uv" sync --frozen --quiet --python "$base" $options; then
        say "Trying again with the certificates of the system"
        # shellcheck disable=SC2086
        TMPDIR=$project/.tools/tmp UV_SYSTEM_CERTS=1 "$uv" sync --frozen --quiet --python "$base" $options || no_network
    fi
    wanted_stamp "$1" >.venv/installed
}

prepare_environment() {
    isolate
    if ! is_current "$1"; then
        [ -w . ] || fail "You may not write to the project folder $project: clone it into a folder of your own."
        find_python
        find_uv
        install_packages "$1"
    fi
    python=$project/.venv/bin/python
}
