#!/usr/bin/env bash
# What publishing a part costs in a window of 24 hours beside one of a minute.
#
#   benches/window.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked -p headwater-bench
exec "${CARGO_TARGET_DIR:-$PWD/target}/release/headwater-bench" window "$@"
