#!/usr/bin/env bash
# Installs what is missing and builds build/echoquant. It can be repeated: what is there stays.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

[ $# = 0 ] || die "setup.sh takes no arguments, only --help: $*"
if has_nvidia; then install_packages run nvidia; else install_packages run; fi
configure keep
build echoquant
