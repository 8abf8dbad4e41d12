#!/usr/bin/env bash
# Installs what the tests need, then runs all of them: formatting, lints, other checks, unit tests, and the real binary as a
# black box.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh
need_build_tools
need_r
need_venv
export WORKER_TEST_MPL_PYTHON="$venv_python"
if [ -z "${WORKER_TEST_PYTHONS:-}" ] && [ "$(count_pythons)" -lt 2 ]; then
    say "Only one version of Python is here: the others are tested by tests/runtimes.sh"
    export WORKER_TEST_RUNTIMES=1
fi
if cargo fmt --version >/dev/null 2>&1; then
    say "cargo fmt --check"
    cargo fmt --all --check
fi
if cargo clippy --version >/dev/null 2>&1; then
    say "cargo clippy"
    # The engines are linted as members of the workspace, so the launcher need not carry them here.
    PYO3_BUILD_EXTENSION_MODULE=1 PYO3_NO_PYTHON=1 WORKER_SKIP_ENGINES=1 CARGO_TARGET_DIR=target/clippy \
        cargo clippy --quiet --workspace --all-targets -- -D warnings
fi
bash tests/checks.sh
# The parts of the engine for R that are plain data are tested by themselves.
say "cargo test"
cargo test --no-fail-fast
say "cargo test: what of the engine for Python needs no interpreter"
PYO3_BUILD_EXTENSION_MODULE=1 PYO3_NO_PYTHON=1 cargo test --package worker-python --test plain
say "All tests passed."
