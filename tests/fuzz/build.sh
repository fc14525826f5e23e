#!/usr/bin/env bash
# build.sh BUILD [CMAKE_OPTION...]: the fuzz targets, with clang, in the folder BUILD.
set -euo pipefail
build=$1
shift
cd "$(dirname "$0")/../.."
if command -v ccache >/dev/null; then
    set -- -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
fi
cmake --preset fuzz -B "$build" --log-level=NOTICE "$@"
cmake --build "$build" -j 2 --target fuzz-targets
