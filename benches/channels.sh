#!/usr/bin/env bash
# From one channel to two hundred on one core: five tracks, 5 Mbit/s.
#
#   benches/channels.sh [--channels 200] [--seconds 10] [--pairs 1]
#
# benches/README.md says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
exec benches/run.sh channels "$@"
