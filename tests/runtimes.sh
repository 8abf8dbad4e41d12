#!/usr/bin/env bash
# Runs the black-box tests on the R and the Python of other Debians: each in a chroot of its own, made once under target/.
# Needs root and debootstrap, which it installs; says what it leaves out. Arguments are passed to the tests (a filter, say).
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

# What is tested in a Debian, by its code name. The newest of an unreleased one cannot always be installed.
PACKAGES=python3,python3-venv,python3-matplotlib,r-base-core,r-cran-ggplot2,r-cran-lattice,gcc,libc6-dev,git,procps,fonts-dejavu-core
declare -A MORE=([trixie]=libpython3.13 [sid]=libpython3.14,python3.15,python3.15-venv,libpython3.15)
RELEASED=trixie
UNRELEASED=sid

if [ "$(id -u)" != 0 ]; then
    say "Left out: the tests on other Debians, since a chroot needs root. Here R and Python are those of this machine alone."
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "Left out: the tests on other Debians, since this is none: debootstrap is not at hand."
    exit 0
fi
if ! command -v debootstrap >/dev/null; then
    say "Installing debootstrap"
    packages debootstrap
fi

# Where this machine takes Debian's packages from.
mirror() {
    { cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '/^URIs:/ { print $2 }'
      cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '$1 == "deb" { print $2 }'
    } | grep -m 1 '/debian/*$'
}

# make_debian SUITE: a Debian in target/runtimes/SUITE, whole or not at all.
make_debian() {
    local root=target/runtimes/$1
    if [ -e "$root/made" ]; then
        say "Debian $1 is here: $root"
        return
    fi
    say "Making Debian $1 in $root"
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase --include="$PACKAGES,${MORE[$1]}" "$1" "$root" "$(mirror)" >"$root.log" 2>&1 || return
    touch "$root/made"
}

# inside SUITE COMMAND...: runs a command in the chroot, which sees this folder where it is. The mounts end with it.
inside() {
    local root=$PWD/target/runtimes/$1
    shift
    mkdir -p "$root$PWD"
    unshare --mount sh -c '
        root=$1 here=$2
        shift 2
        mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --bind "$here" "$root$here" || exit
        exec chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root "$@"
    ' sh "$root" "$PWD" "$@"
}

# Its Pythons: all that Debian has, which have their library within, each once more with its shared library, and a virtual
# environment.
pythons() {
    inside "$1" sh -c '
        [ -e /opt/venv ] || python3 -m venv --system-site-packages /opt/venv
        for library in /usr/lib/x86_64-linux-gnu/libpython3.*.so.1.0; do
            shared=/usr/bin/$(basename "$library" .so.1.0 | sed s/lib//)-shared
            [ -e "$shared" ] || echo "int Py_BytesMain(int, char **); int main(int n, char **words) { return Py_BytesMain(n, words); }" |
                cc -x c -o "$shared" - "$library"
        done
        ls /usr/bin/python3.[0-9][0-9] /usr/bin/python3.*-shared /opt/venv/bin/python3 | paste -sd :'
}

say "Building the tests"
cargo build --example supervisor
test=$(cargo test --no-run --test blackbox --message-format json | sed -n 's/.*"executable":"\([^"]*\/blackbox-[^"]*\)".*/\1/p')
[ -x "$test" ]
failed=
for suite in $RELEASED $UNRELEASED; do
    if ! make_debian "$suite"; then
        tail -n 5 "target/runtimes/$suite.log"
        case $suite in
        "$UNRELEASED") say "Left out: Debian $suite, whose packages cannot be installed today." && continue ;;
        *) echo "Debian $suite cannot be made." >&2 && exit 1 ;;
        esac
    fi
    found=$(pythons "$suite")
    say "Debian $suite: $(inside "$suite" R --version | head -n 1); $found"
    inside "$suite" WORKER_TEST_PYTHONS="$found" WORKER_TEST_MPL_PYTHON=/usr/bin/python3 WORKER_TEST_RUNTIMES=1 \
        "$test" "$@" || failed="$failed $suite"
done
if [ -n "$failed" ]; then
    echo "Tests failed on Debian:$failed" >&2
    exit 1
fi
say "All tests passed on the other Debians."
