#!/usr/bin/env bash
# The whole test suite: installs what is missing, builds, runs ctest. Arguments go to ctest, e.g. -L unit or -R u8s8.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

install_packages run test
python_environment
configure ON
build
cd "$ROOT"
say "ctest --preset release $*"
exec ctest --preset release --no-label-summary "$@"
