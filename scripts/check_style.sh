#!/usr/bin/env bash
# check_style.sh format   clang-format would change nothing (exit 77: skipped, clang-format 14 is missing)
# check_style.sh text     blanks, line ends, banned functions, printing below cmd/, packages that CMake names and scripts/packages.txt lacks,
#                         scripts that are not executable
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8 # columns are characters, whatever the locale
shopt -s lastpipe # so that report can set it from the end of a pipe
failed=0

c_files() {
    find src include tests \( -name '*.[ch]' -o -name '*.cc' \) 2>/dev/null | sort
}

text_files() {
    find . \( -path ./build -o -path ./.git -o -path ./.venv -o -path ./.venv-peers -o -path ./runs -o -path ./data -o -path ./.cache \
        -o -path ./install -o -path ./tests/fuzz/corpus -o -path ./tests/golden/data \) -prune -o -type f \
        \( -name '*.[ch]' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' -o -name '*.md' -o -name '*.txt' \
        -o -name CMakePresets.json -o -path './configs/*.json' -o -path './.ci/*' \) -print | sort
}

# report MESSAGE: stdin holds the offending places.
report() {
    local found
    found=$(cat)
    if [ -n "$found" ]; then
        printf '%s\n%s\n' "$found" "^ $1"
        failed=1
    fi
}

# Other versions lay some lines out differently, so only one can decide.
find_clang_format() {
    local candidate
    for candidate in clang-format-14 clang-format; do
        if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
            echo "$candidate"
            return
        fi
    done
}

check_format() {
    local tool
    tool=$(find_clang_format)
    if [ -z "$tool" ]; then
        echo "skipped: clang-format 14 is not installed"
        exit 77
    fi
    # One call for many files, since each start takes longer than most files. Of what it prints, the lines of code are left out.
    c_files | xargs "$tool" --style=file --dry-run 2>&1 | grep -E 'warning|[Ee]rror' | report "run $tool -i on these"
}

# Functions that overrun buffers, parse numbers without errors, or keep hidden state.
check_banned() {
    c_files | xargs grep -nE '\b(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|rand|srand|alloca)[[:space:]]*\(' |
        report "banned; use snprintf, eq_str_add, eq_parse_double, eq_parse_int64, eq_rng"
    c_files | xargs grep -nE '\bcJSON_InsertItemInArray[[:space:]]*\(' |
        report "refuses inner places in Debian 12's cJSON (findings/cjson_insert_inner_places.sh)"
    find tests -name '*.[ch]' | sort | xargs grep -nE '\bassert_(not_)?in_range\(|^static .*\bstop\(' |
        report "cmocka 2 deprecates the assertion (use assert_int_in_range), and has a macro stop"
    find src \( -name '*.c' -o -name '*.cc' \) ! -path src/base/json.c | sort | xargs grep -nE '\bcJSON_AddItemTo(Array|Object)[[:space:]]*\(' |
        report "leaks what it cannot add; use eq_json_add"
    find src \( -name '*.c' -o -name '*.cc' \) ! -path 'src/cmd/*' ! -path src/main.c ! -path src/base/log.c ! -path src/base/text.c |
        sort | xargs grep -nE '(^|[^_[:alnum:]])(printf|puts|putchar|perror)[[:space:]]*\(|[(,] *(stderr|stdout)\b' |
        report "only cmd/ prints; below it return an error or use eq_log"
    find src/cmd -name '*.c' | sort | xargs grep -nE '(^|[^_[:alnum:]])(printf|puts|putchar|fputs|fwrite|fprintf|perror)[[:space:]]*\(|\bstdout\b' |
        report "what is printed must be escaped; use eq_print_row, eq_print_text, eq_print_data"
    find src \( -name '*.c' -o -name '*.cc' \) ! -path src/main.c | sort | xargs grep -nE '(^|[^_[:alnum:]])exit[[:space:]]*\(' |
        report "only main exits"
}

check_blanks() {
    text_files | xargs grep -nE '[[:blank:]]+$' | report "trailing blanks"
    text_files | xargs grep -nl $'\r' | report "carriage returns"
    c_files | xargs grep -nP '\t' | report "tabs"
    c_files | xargs grep -nE '^.{121,}$' | report "longer than 120 columns"
    grep -nE '^[^|].{100,}$' README.md docs/*.md | report "longer than 100 columns (tables aside)"
    text_files | while read -r file; do
        [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ] && echo "$file"
    done | report "no newline at the end"
}

check_packages() {
    sed -nE 's/^echoquant_require_(pkg|lib|program|file)\(.* ([^ )]+)\)$/\2/p' cmake/EchoquantDependencies.cmake | while read -r package; do
        grep -qE "^$package([[:space:]]|$)" scripts/packages.txt || echo "$package"
    done | report "named by CMake, but not in scripts/packages.txt"
}

check_executable() {
    text_files | while read -r file; do
        [ "$(head -c 2 "$file")" = '#!' ] && [ ! -x "$file" ] && echo "$file"
    done | report "begins with #! but is not executable"
}

case "${1:-}" in
format) check_format ;;
text)
    check_banned
    check_blanks
    check_packages
    check_executable
    ;;
*)
    echo "usage: $0 format|text" >&2
    exit 2
    ;;
esac
[ $failed = 0 ] && echo "nothing to complain about"
exit $failed
