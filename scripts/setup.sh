#!/usr/bin/env bash
# Installs what is missing and builds build/echoquant. It can be repeated: what is there stays.
. "$(dirname "$0")/lib.sh"

install_packages run
configure keep
build echoquant
