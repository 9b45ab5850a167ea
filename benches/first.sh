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

exec benches/run.sh first "$@"
