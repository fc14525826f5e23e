#!/usr/bin/env bash
# A fuzz campaign: runs each target until it has had the executions of tests/fuzz/targets.txt, in slices. What was done
# is counted, so a campaign that was stopped goes on where it was. Prints a table at the end.
#
#   scripts/fuzz.sh [--dir DIR] [--slice SECONDS] [--until HH:MM] [--table | --minimize] [TARGET...]
#
# DIR (build/fuzz/campaign) holds counts, logs, grown corpora and findings. --until stops before a slice that begins
# after that time of day (UTC). --table only prints the table. --minimize merges the grown corpora into those of
# tests/fuzz/corpus, keeping what adds coverage. A finding ends the slices of its target.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

dir=$ROOT/build/fuzz/campaign slice=300 until='' mode=run stopped=0 fuzzer=''
while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=$2 && shift ;;
    --slice) slice=$2 && shift ;;
    --until) until=$2 && shift ;;
    --table) mode=table ;;
    --minimize) mode=minimize ;;
    -*) die "$1: unknown option" ;;
    *) break ;;
    esac
    shift
done
bin=${FUZZ_BIN:-$ROOT/build/fuzz/tests/fuzz}
mkdir -p "$dir"
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(awk '!/^#/ { print $1 }' "$ROOT/tests/fuzz/targets.txt")

field() { # TARGET COLUMN: of targets.txt; column 3 is all options
    awk -v t="$1" -v c="$2" '$1 == t { if (c == 3) { $1 = $2 = ""; print } else print $c }' "$ROOT/tests/fuzz/targets.txt"
}

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

run_slice() {
    local name=$1 left=$2 log=$dir/$1.log dict=$ROOT/tests/fuzz/dict/$1.dict options start runs cov
    read -ra options < <(field "$name" 3)
    [ -f "$dict" ] && options+=("-dict=$dict")
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
    local name goal done_any=1 left
    trap 'stopped=1; kill -TERM "$fuzzer" 2>/dev/null' INT TERM
    while [ $done_any = 1 ]; do
        done_any=0
        for name in "${targets[@]}"; do
            goal=$(field "$name" 2)
            left=$((goal * 1000000 - $(counted "$name")))
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

minimize() {
    local name options merged
    for name in "${targets[@]}"; do
        [ -d "$dir/corpus/$name" ] || continue
        read -ra options < <(field "$name" 3)
        merged=$(mktemp -d)
        "$bin/$name" "${options[@]}" -merge=1 "$merged" "$ROOT/tests/fuzz/corpus/$name" "$dir/corpus/$name" >"$dir/$name.merge" 2>&1 ||
            die "$name: see $dir/$name.merge"
        find "$merged" -type f -exec cp -n {} "$ROOT/tests/fuzz/corpus/$name/" \;
        rm -r "$merged"
        say "$name: $(find "$ROOT/tests/fuzz/corpus/$name" -type f | wc -l) inputs"
    done
}

case $mode in
run) run && table ;;
table) table ;;
minimize) minimize ;;
esac
