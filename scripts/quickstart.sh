#!/usr/bin/env bash
# From a bare Debian 12 or Ubuntu 22.04, or newer, to a report: installs, builds, and runs the whole experiment on
# synthetic clips.
# Arguments go to `echoquant run-all`, e.g. --data /data/EchoNet-Dynamic
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

"$ROOT/scripts/setup.sh"
cd "$ROOT"
say "build/echoquant run-all --config configs/default.json $*"
exec build/echoquant run-all --config configs/default.json "$@"
