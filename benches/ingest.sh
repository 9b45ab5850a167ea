#!/usr/bin/env bash
# Ingest beside nginx's WebDAV: CPU a GB of chunked PUTs.
#
#   benches/ingest.sh [--pairs 5] [--megabytes 4000] [--remark "idle machine"]
#
# benches/README.md says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
exec benches/run.sh ingest "$@"
