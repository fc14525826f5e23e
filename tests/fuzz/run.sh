#!/usr/bin/env bash
# run.sh BUILD TARGET SECONDS: fuzzes one target from its corpus. New inputs and findings go into BUILD, never into the
# corpus. FUZZ_SECONDS in the environment overrides SECONDS. The seed is fixed, so a fault of a change is met on every
# machine alike, and an older one does not fail a change at random; scripts/fuzz.sh draws new seeds. FUZZ_SEED sets it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1 name=$2 seconds=${FUZZ_SECONDS:-$3}
. "$here/options.sh"
found=$build/found/$name
mkdir -p "$found" "$build/findings"
fuzz_options "$name"
code=0
"$build/tests/fuzz/$name" "${options[@]}" -seed="${FUZZ_SEED:-1}" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$build/findings/$name-" "$found" "$here/corpus/$name" 2>"$build/$name.log" || code=$?
if [ $code != 0 ]; then
    tail -n 60 "$build/$name.log"
    exit $code
fi
sed -n 's/^stat::number_of_executed_units: */executions: /p' "$build/$name.log"
