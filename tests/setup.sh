# What the demo and the tests need on a fresh Debian machine, each installed only where it is missing.
# Sourced by examples/demo.sh and tests/run.sh, with the repository's root as the working directory.

say() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root, and there is no sudo: run as root: $*" >&2
        return 1
    fi
}

# Installs Debian packages; on another system the person is told what to install.
packages() {
    if ! command -v apt-get >/dev/null; then
        echo "Install these with your package manager: $*" >&2
        return 1
    fi
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# A Rust toolchain, and a C compiler, which it links with.
need_build_tools() {
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install Rust first." >&2
        return 1
    fi
    if ! command -v cc >/dev/null; then
        say "Installing a C compiler"
        packages gcc libc6-dev
    fi
}

# R, with the packages that the tests plot with.
need_r() {
    if command -v R >/dev/null && R --no-echo --no-save -e 'stopifnot(requireNamespace("lattice"), requireNamespace("ggplot2"))' >/dev/null 2>&1; then
        say "R is here: $(R --version | head -n 1)"
        return
    fi
    say "Installing R, lattice and ggplot2"
    packages r-base-core r-cran-lattice r-cran-ggplot2 fonts-dejavu-core
}

# How many versions of Python there are here that a worker serves, found where the tests look for them.
count_pythons() {
    local minor python
    for python in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[0-5].*/bin/python3 /usr/bin/python3 \
        $(for minor in 10 11 12 13 14 15; do command -v "python3.$minor"; done); do
        "$python" -I -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null || true
    done | sort -u | grep -c '^3 1[0-5]$' || true
}

# A virtual environment with the packages that only demo and tests use, in target/venv; its interpreter is $venv_python.
need_venv() {
    venv_python=$PWD/target/venv/bin/python
    if "$venv_python" -c 'import matplotlib, numpy' 2>/dev/null; then
        say "The virtual environment is here: target/venv"
        return
    fi
    say "Making a virtual environment with matplotlib and numpy in target/venv"
    mkdir -p target
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        packages python3-venv
    fi
    rm -rf target/venv
    python3 -m venv target/venv
    "$venv_python" -m pip install --quiet --disable-pip-version-check matplotlib numpy
}
