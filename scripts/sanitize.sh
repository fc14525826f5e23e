#!/usr/bin/env bash
# The suite under tools that see what an ordinary run does not (docs/RELIABILITY.md, "Sanitizers"):
#   sanitize.sh asan-ubsan [CTEST ARGUMENTS]   AddressSanitizer, leaks and UndefinedBehaviorSanitizer: the whole suite
#   sanitize.sh tsan [CTEST ARGUMENTS]         ThreadSanitizer: all test programs, and the scripts with threads
#   sanitize.sh valgrind                       memcheck: from synthetic clips to the predictions of an INT8 model
#   sanitize.sh all                            the three, one after the other
#   sanitize.sh ci                             the same, but of ThreadSanitizer only the programs about threads: 20 minutes less
# Everything that a tool reports fails, also where a test looks at neither exit status nor stderr of what it starts.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"

# What no sanitizer runs:
# - the style of the sources;
# - scripts about other things than this program: a build for another CPU, roots, these scripts, other programs;
# - scripts about Python packages that read files which other tests check as well;
# - cli.load, which compares peaks of memory: they are the sanitizer's. test_data_loader has its threads.
# Sweeps of faults (label faults) need the C library's allocator; the presets do not build them. Fuzzing has a preset of
# its own with AddressSanitizer (scripts/fuzz.sh); the drivers of the corpora are in the suite.
LEFT_OUT='^style\.|^cli\.(load|test_(aarch64|in_root|sanitize|compare_peers|notebook|onnx|torch))$'

# suite PRESET [CTEST ARGUMENTS]: builds the preset and runs its tests. A report goes to a file, not to the stderr of a
# program whose test may throw it away; 99 is an exit status that no test expects.
suite() {
    local preset=$1 reports="$ROOT/build/$1/reports" options signals found status=0
    shift
    cd "$ROOT"
    say "$preset: building build/$preset"
    cmake --preset "$preset" --log-level=NOTICE >/dev/null
    cmake --build "build/$preset" >"build/$preset/build.log" 2>&1 || {
        tail -n 40 "build/$preset/build.log"
        die "$preset does not build"
    }
    rm -rf "$reports" && mkdir "$reports"
    options="exitcode=99:log_path=$reports/report"
    # 2: cmocka's handlers of these signals do not hide the report. PoCL's LLVM gives threads a stack for signals of its
    # own, which AddressSanitizer would take for the one that it gave them.
    signals=handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2:use_sigaltstack=0
    say "$preset: ctest $*"
    ASAN_OPTIONS="$options:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1:$signals" \
        LSAN_OPTIONS="suppressions=$ROOT/tests/sanitizers/lsan.supp:print_suppressions=0" \
        UBSAN_OPTIONS="$options:print_stacktrace=1" \
        TSAN_OPTIONS="$options:$signals:second_deadlock_stack=1" \
        ctest --preset "$preset" --no-label-summary -j "$(nproc)" "$@" >"build/$preset/ctest.log" 2>&1 || status=$?
    # An allocation that a test wants to fail is a warning in the same files.
    found=$(grep -lrE 'ERROR: |SUMMARY: |runtime error: ' "$reports" || true)
    if [ -n "$found" ]; then
        head -qn 60 $(head -n 5 <<<"$found")
        tail -n 40 "build/$preset/ctest.log"
        die "$preset: $(wc -l <<<"$found") reports in $reports"
    elif [ $status != 0 ]; then
        tail -n 150 "build/$preset/ctest.log"
        die "$preset: a test failed (build/$preset/ctest.log)"
    fi
    grep -E '^[0-9]+% tests passed|^Total Test time|\(Skipped\)' "build/$preset/ctest.log" | sed "s/^/$preset: /"
}

asan_ubsan() {
    suite asan-ubsan -E "$LEFT_OUT" "$@"
}

# Label threads: the scripts that name a number of threads.
tsan() {
    suite tsan -L 'unit|kernels|golden|threads' -E "$LEFT_OUT" "$@"
}

# The programs whose subject is threads: the pool, processes as threads, the loader, the check, the training, the
# predictions of many clips.
ABOUT_THREADS='^unit\.test_(base_comm|base_parallel|base_pool|base_threads|quant_ranks|run_ranks|data_|infer_|synth|run_trainer|run_predictor|run_data)|^kernels\.test_first_use$|^cli\.test_(predict|train)$'

# Valgrind knows no AVX-512, and hides it from the program; AVX2 is what it runs.
memcheck() {
    local dir="$ROOT/build/valgrind" command log number=0
    local small=(--set data.frames=2 --set data.size=32 --set model.width=8 --set train.epochs=1 --set train.batch=2
        --set ptq.clips=4 --set bench.warmup=0 --set bench.repeats=1 --cpu avx2 --threads 2)
    configure ON
    build echoquant
    rm -rf "$dir" && mkdir -p "$dir"
    cd "$dir"
    # No driver of OpenCL: where one brings a RUNPATH, memcheck takes glibc's reads of words in strncmp, in the dynamic
    # loader, for reads beyond the string.
    export OCL_ICD_VENDORS=/nonexistent
    for command in "synth data --set synth.train=4 --set synth.val=2 --set synth.test=2" \
        "train --run run --data data ${small[*]}" "ptq --run run --data data ${small[*]}" "eval --run run --data data ${small[*]}" \
        "predict --model run/fp32.safetensors --cpu avx2 --threads 2" "predict --model run/ptq.safetensors --cpu avx2 --threads 2"; do
        case $command in predict*) command="$command $(ls data/Videos/*.avi | head -n 2 | tr '\n' ' ')" ;; esac
        number=$((number + 1))
        log=$dir/$number.log
        say "valgrind: echoquant ${command%% --*}"
        # shellcheck disable=SC2086
        valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
            --fair-sched=yes --child-silent-after-fork=yes --log-file="$log" \
            "$ROOT/build/echoquant" $command --quiet >"$dir/$number.out" 2>"$dir/$number.err" </dev/null || {
            tail -n 60 "$log" "$dir/$number.err"
            die "valgrind: echoquant $command"
        }
        [ ! -s "$log" ] || { cat "$log" && die "valgrind: echoquant $command"; }
    done
    [ "$(wc -l <"$dir/6.out")" -ge 3 ] || die "valgrind: no predictions in $dir/6.out"
    say "valgrind: $number commands, nothing found"
}

tool=${1:-}
[ $# = 0 ] || shift
case $tool in
asan-ubsan | tsan | valgrind | all | ci) install_packages run test sanitize ;;
*) die "sanitize.sh asan-ubsan|tsan|valgrind|all|ci" ;;
esac
case $tool in
asan-ubsan) asan_ubsan "$@" ;;
tsan) tsan "$@" ;;
valgrind) memcheck ;;
all)
    asan_ubsan
    tsan
    memcheck
    ;;
ci)
    asan_ubsan
    tsan -R "$ABOUT_THREADS"
    memcheck
    ;;
esac
