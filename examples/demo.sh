#!/usr/bin/env bash
# Builds worker and shows a real session with Python and with R: cells, output, a question, an error, an interrupt, a plot.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh
need_build_tools
need_r
need_venv
say "Building worker (target/release/worker)"
cargo build --release
python3 examples/demo.py target/release/worker "$venv_python"
