#!/usr/bin/env bash
# Memory and descriptors under churn of encoders and players; fails if they grow.
#
#   benches/soak.sh                                half an hour
#   benches/soak.sh --seconds 60 --players 50      the short form, for the gate
#
# benches/README.md says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
exec benches/run.sh soak "$@"
