#!/usr/bin/env bash
# Installs what is missing and builds build/echoquant. It can be repeated: what is there stays.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

[ $# = 0 ] || die "setup.sh takes no arguments, only --help: $*"
install_packages run
configure keep
build echoquant
