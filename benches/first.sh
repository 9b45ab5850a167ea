#!/usr/bin/env bash
# The first measures: GETs beside nginx, and players that wait for a part.
#
#   benches/first.sh                      everything, about five minutes
#   benches/first.sh --only gets          GETs alone; "parked" likewise
#   benches/first.sh --remark "idle machine"
#
# benches/README.md says what is measured; further flags are in
# tools/bench/src/main.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in nginx wrk taskset setpriv; do
  command -v $tool >/dev/null || {
    echo "$tool is missing: apt-get install nginx-light wrk util-linux" >&2
    exit 1
  }
done
cargo build --release --locked -p headwater -p headwater-bench
target=${CARGO_TARGET_DIR:-$PWD/target}
exec taskset -c 1 "$target/release/headwater-bench" first \
  --headwater "$target/release/headwater" "$@"
