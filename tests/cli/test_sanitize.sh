#!/usr/bin/env bash
# scripts/sanitize.sh and .ci/run without sanitizers: a report fails whatever the tests said, a failed test and a failed build
# too, each with the end of its log, and nothing runs after that. Stand-ins give the build and the tests.
. "$(dirname "$0")/lib.sh"

mkdir -p tools clone/scripts clone/.ci
cp "$SOURCE/scripts/"{sanitize,lib}.sh "$SOURCE/scripts/packages.txt" clone/scripts/
cp "$SOURCE/.ci/run" clone/.ci/
stand_in() {
    cat >"$1" && chmod +x "$1"
}
stand_in tools/dpkg-query <<<'echo installed'
stand_in tools/cmake <<'SH'
[ "$1" != --preset ] || mkdir -p "build/$2"
[ "$1" != --build ] || { echo "file.c: error: no"; exit "${BUILD_STATUS:-0}"; }
SH
# Leaves the text REPORT where the sanitizer of the preset would leave a report.
stand_in tools/ctest <<'SH'
echo "$*" >>"$CALLED"
echo "the log of ctest"
echo "100% tests passed, 0 tests failed out of 7"
case $2 in asan*) options=$ASAN_OPTIONS ;; *) options=$TSAN_OPTIONS ;; esac
log=${options#*log_path=}
[ -z "${REPORT:-}" ] || echo "$REPORT" >"${log%%:*}.123"
exit "${TEST_STATUS:-0}"
SH
export PATH=$TMP/tools:$PATH CALLED=$TMP/called

# sanitize STATUS [NAME=VALUE...] ARGUMENTS...
sanitize() {
    local wanted=$1
    shift
    : >"$CALLED"
    STATUS=0
    env "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
    is "exit of $*" "$STATUS" "$wanted"
}
S=clone/scripts/sanitize.sh
sanitize 0 $S asan-ubsan -R unit
has "$OUT" "asan-ubsan: 100% tests passed"
has "$CALLED" "--preset asan-ubsan"
has "$CALLED" "-R unit"
sanitize 0 $S tsan
has "$CALLED" "-L unit|kernels|golden|threads"
sanitize 0 "REPORT=WARNING: AddressSanitizer failed to allocate 0x3fffffffffffffff bytes" $S asan-ubsan
for preset in asan-ubsan tsan; do
    for report in "==1==ERROR: LeakSanitizer: detected memory leaks" "x.c:1:2: runtime error: signed integer overflow" \
        "SUMMARY: ThreadSanitizer: data race x.c:1 in f"; do
        sanitize 1 "REPORT=$report" $S $preset
        has "$OUT" "$report"
        has "$ERR" "1 reports in"
    done
    sanitize 1 TEST_STATUS=8 $S $preset
    has "$OUT" "the log of ctest"
    has "$ERR" "a test failed"
    sanitize 1 BUILD_STATUS=1 $S $preset
    has "$OUT" "file.c: error: no"
    is "tests of a build that failed" "$(wc -l <"$CALLED")" 0
done
sanitize 1 TEST_STATUS=8 $S all
is "presets after one that failed" "$(wc -l <"$CALLED")" 1
sanitize 1 $S
sanitize 1 $S other

# CI: the sanitizers first, and the suite only after them, with the arguments.
stand_in clone/scripts/test.sh <<<'echo "suite $* $ECHOQUANT_WERROR"'
stand_in clone/scripts/sanitize.sh <<<'echo "sanitize $*"; exit "${TEST_STATUS:-0}"'
sanitize 0 clone/.ci/run -R unit
is "steps of CI" "$(tr '\n' ' ' <"$OUT")" "sanitize ci suite -R unit ON "
sanitize 3 TEST_STATUS=3 clone/.ci/run
is "steps of CI when the sanitizers fail" "$(tr '\n' ' ' <"$OUT")" "sanitize ci "
summary
