#!/bin/sh
# Drops one wake-up in the origin and demands that the simulator notices.
set -eu
cd "$(dirname "$0")/../.."
exec cargo test -p headwater-sim --features canary --test seeds "$@"
