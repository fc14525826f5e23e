#!/usr/bin/env bash
# A fuzz campaign: runs each target until it has had the executions of tests/fuzz/targets.txt, in slices. What was done
# is counted, so a campaign that was stopped, as by Ctrl-C, goes on where it was. Prints a table at the end.
#
#   scripts/fuzz.sh [--build BUILD] [--dir DIR] [--slice SECONDS] [--until HH:MM] [--table | --minimize] [TARGET...]
#
# BUILD (build/fuzz) has the targets, as tests/fuzz/build.sh makes them. DIR (BUILD/campaign) holds counts, logs, grown
# corpora and findings. --until stops before a slice that begins after that time of day (UTC). --table only prints the
# table. --minimize merges the grown corpora into those of tests/fuzz/corpus, keeping what adds an edge. A finding ends
# the slices of its target.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

build=$ROOT/build/fuzz dir='' slice=300 until='' mode=run stopped=0 fuzzer=''
while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=$2 && shift ;;
    --build) build=$2 && shift ;;
    --slice) slice=$2 && shift ;;
    --until) until=$2 && shift ;;
    --table) mode=table ;;
    --minimize) mode=minimize ;;
    -*) die "$1: unknown option" ;;
    *) break ;;
    esac
    shift
done
bin=$build/tests/fuzz
dir=${dir:-$build/campaign}
. "$ROOT/tests/fuzz/options.sh"
[ -d "$bin" ] || die "$bin: no such folder; build the targets with tests/fuzz/build.sh $build"
mkdir -p "$dir"
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cd "$ROOT/tests/fuzz" && printf '%s\n' fuzz_*.c | sed 's/\.c$//')

# A count file has a line for each slice: executions, seconds, edges, features.
counted() {
    awk '{ n += $1 } END { printf "%d", n }' "$dir/$1.count" 2>/dev/null || echo 0
}

stat_of() {
    sed -n "s/^stat::$1: *//p" "$2" | tail -1
}

is_found() {
    compgen -G "$dir/findings/$1/*" >/dev/null
}

# Freed memory is used again while it is in the caches: 1.7 times as many clips a second as with 256 MB set aside. What
# is used after it was freed is found as long as less than 8 MB were freed in between.
usual=quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1:malloc_context_size=4
export ASAN_OPTIONS=$usual${ASAN_OPTIONS:+:$ASAN_OPTIONS}

run_slice() {
    local name=$1 left=$2 log=$dir/$1.log start runs cov
    mkdir -p "$dir/corpus/$name" "$dir/findings/$name"
    start=$SECONDS
    nice -n 19 "$bin/$name" "${options[@]}" -runs="$left" -max_total_time="$slice" -print_final_stats=1 -reload=0 \
        -artifact_prefix="$dir/findings/$name/" "$dir/corpus/$name" "$ROOT/tests/fuzz/corpus/$name" >"$log" 2>&1 &
    fuzzer=$!
    wait "$fuzzer" || wait "$fuzzer" || true # a signal to this script ends the first one early
    runs=$(stat_of number_of_executed_units "$log")
    cov=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -1)
    printf '%s %s %s\n' "${runs:-0}" "$((SECONDS - start))" "$cov" >>"$dir/$name.count"
    say "$(date -u +%H:%M) $name: $(counted "$name") executions, $cov"
}

# SIGINT and SIGTERM end the slice that runs, which is counted, and then the campaign.
run() {
    local name done_any=1 left
    trap 'stopped=1; kill -TERM "$fuzzer" 2>/dev/null' INT TERM
    while [ $done_any = 1 ]; do
        done_any=0
        for name in "${targets[@]}"; do
            fuzz_options "$name"
            left=$((millions * 1000000 - $(counted "$name")))
            [ $left -gt 0 ] || continue
            is_found "$name" && continue
            if [ -n "$until" ] && [[ $(date -u +%H:%M) > $until ]]; then
                return 0
            fi
            run_slice "$name" $left
            [ $stopped = 0 ] || return 0
            done_any=1
        done
    done
}

table() {
    local name
    printf '| target | executions | edges | features | corpus | findings |\n|---|---:|---:|---:|---:|---:|\n'
    for name in "${targets[@]}"; do
        printf '| %s | %s | %s | %s | %s | %s |\n' "${name#fuzz_}" "$(counted "$name" | sed ':a;s/\B[0-9]\{3\}\>/,&/;ta')" \
            "$(tail -1 "$dir/$name.count" 2>/dev/null | sed -n 's/.*cov: \([0-9]*\).*/\1/p')" \
            "$(tail -1 "$dir/$name.count" 2>/dev/null | sed -n 's/.*ft: \([0-9]*\).*/\1/p')" \
            "$(find "$ROOT/tests/fuzz/corpus/$name" -type f | wc -l)" \
            "$(find "$dir/findings/$name" -type f 2>/dev/null | wc -l)"
    done
}

# What adds an edge to the inputs with names, which stay; findings and seeds have them, and finds of libFuzzer have hashes.
minimize() {
    local name merged corpus file
    for name in "${targets[@]}"; do
        corpus=$ROOT/tests/fuzz/corpus/$name
        [ -d "$dir/corpus/$name" ] || continue
        fuzz_options "$name"
        merged=$(mktemp -d)
        find "$corpus" -type f -regextype posix-extended ! -regex '.*/[0-9a-f]{40}' -exec cp {} "$merged/" \;
        "$bin/$name" "${options[@]}" -merge=1 -use_counters=0 -use_cmp=0 "$merged" "$corpus" "$dir/corpus/$name" \
            >"$dir/$name.merge" 2>&1 || die "$name: see $dir/$name.merge"
        find "$corpus" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
        for file in "$merged"/*; do
            [ -e "$corpus/${file##*/}" ] || cp "$file" "$corpus/"
        done
        rm -r "$merged"
        say "$name: $(find "$corpus" -type f | wc -l) inputs, $(du -sb "$corpus" | cut -f1) bytes"
    done
}

case $mode in
run) run && table ;;
table) table ;;
minimize) minimize ;;
esac
