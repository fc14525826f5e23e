#!/usr/bin/env bash
# Installs what is missing and builds build/echoquant. Harmless to repeat.
. "$(dirname "$0")/lib.sh"

install_packages run
configure keep
build echoquant
