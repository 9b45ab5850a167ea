#!/usr/bin/env bash
# The live edge, idle and with the server's core 80 % busy.
#
#   benches/edge.sh [--pairs 5] [--seconds 10] [--remark "idle machine"]
#
# benches/README.md says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
exec benches/run.sh edge "$@"
