#!/usr/bin/env bash
# Builds what a bench needs and runs it, the load on processor 1. The scripts
# beside this one call it; so can you: benches/run.sh BENCH [FLAGS].
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in nginx wrk taskset setpriv; do
  command -v $tool >/dev/null || {
    echo "$tool is missing: apt-get install nginx-light wrk util-linux" >&2
    exit 1
  }
done
cargo build --release --locked -p headwater -p headwater-bench -p headwater-load
target=${CARGO_TARGET_DIR:-$PWD/target}/release
bench=$1
shift
exec taskset -c 1 "$target/headwater-bench" "$bench" --headwater "$target/headwater" "$@"
