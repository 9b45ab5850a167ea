#!/usr/bin/env bash
# Instructions of the pure paths, held against benches/counts.txt.
#
#   benches/counts.sh             fails where one is beyond its bound
#   benches/counts.sh --update    makes what is counted the bound
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || {
  echo "valgrind is missing: apt-get install valgrind" >&2
  exit 1
}
cargo build --release --locked --quiet -p headwater-bench
exec "${CARGO_TARGET_DIR:-$PWD/target}/release/headwater-bench" counts "$@"
