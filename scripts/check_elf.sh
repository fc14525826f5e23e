#!/usr/bin/env bash
# check_elf.sh BINARY ARCHIVE FORTIFY: the hardening of the built program (cmake/EchoquantHardening.cmake), as its ELF headers show it.
# ARCHIVE holds its objects. FORTIFY is 0 in a build that does not optimize. Exit 77: skipped, with the reason.
binary=$1 archive=$2 fortify=$3
export LC_ALL=C
command -v readelf >/dev/null || { echo "skipped: no readelf (package binutils)"; exit 77; }
failed=0

# need TEXT CONDITION...: the condition is a command.
need() {
    local text=$1
    shift
    "$@" >/dev/null && return
    echo "missing: $text"
    failed=1
}

has() { grep -qE -- "$1" <<<"$2"; }
lacks() { ! has "$1" "$2"; }

header=$(readelf -hW "$binary")
dynamic=$(readelf -dW "$binary")
segments=$(readelf -lW "$binary")
symbols=$(readelf -W --dyn-syms "$binary")
need "a position-independent executable" has 'Type: +DYN' "$header"
need "a position-independent executable (an interpreter)" has 'INTERP' "$segments"
need "RELRO" has 'GNU_RELRO' "$segments"
need "BIND_NOW, so that RELRO covers the table of functions" has '\(FLAGS\).*BIND_NOW|\(BIND_NOW\)|FLAGS_1.*NOW' "$dynamic"
need "a stack that is not executable" has 'GNU_STACK.* RW ' "$segments"
need "no segment that is writable and executable" lacks '^ +LOAD.* RWE ' "$segments"
need "no relocations in code" lacks 'TEXTREL' "$dynamic"
need "no RPATH or RUNPATH" lacks '\((RPATH|RUNPATH)\)' "$dynamic"
need "the stack protector" has '__stack_chk_fail' "$symbols"
if [ "$fortify" != 0 ]; then
    for call in memcpy vsnprintf; do need "FORTIFY_SOURCE ($call)" has "__${call}_chk" "$symbols"; done
fi

# Control-flow protection: each of our objects is marked. The program is marked only if the startup files of the C library are,
# which Debian 12 does not build for it.
machine=$(sed -nE 's/^ +Machine: +//p' <<<"$header")
case $machine in
*X86-64*) mark='IBT, SHSTK' ;;
*AArch64*) mark='BTI, PAC' ;;
*) mark= ;;
esac
if [ -n "$mark" ]; then
    notes=$(readelf -nW "$archive" 2>/dev/null)
    objects=$(grep -c '^File: ' <<<"$notes")
    marked=$(grep -cF "$mark" <<<"$notes")
    need "objects in $archive" [ "$objects" -gt 0 ]
    need "control-flow protection ($mark) in $((objects - marked)) of $objects objects" [ "$marked" = "$objects" ]
    if readelf -nW "$binary" | grep -qF "$mark"; then
        echo "control-flow protection: $mark"
    else
        echo "control-flow protection: in all $objects objects; the C library's startup files lack it, so the program as a whole does"
    fi
fi
[ $failed = 0 ] && echo "hardened: $binary"
exit $failed
