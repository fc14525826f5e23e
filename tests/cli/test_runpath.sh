#!/usr/bin/env bash
# Shared libraries come from the system's folders, never from the working directory, which may hold foreign data.
. "$(dirname "$0")/lib.sh"

PROGRAM=$BIN
emulated && PROGRAM=$(sed -nE "2s/.* '(.*)' .*/\1/p" "$BIN") # what the emulator starts

# An empty or relative element of RUNPATH or RPATH is looked up in the working directory; $ORIGIN is the program's own.
if command -v readelf >/dev/null; then
    paths=$(readelf -d "$PROGRAM" | sed -nE 's/.*\((RUNPATH|RPATH)\).*\[(.*)\]$/\2/p')
    while IFS= read -r path; do
        case :$path: in
            *::* | *:[!/:\$]*) fail "the RUNPATH \"$path\" leads to the working directory" ;;
            *) pass ;;
        esac
    done < <(grep . <<<"$paths")
    readelf -d "$PROGRAM" >dynamic
    has dynamic "libcsv"
else
    skip "no readelf (package binutils)"
fi

# A file by a library's name that is none: the loader would stop at it.
if emulated; then # ldd would start it
    libraries=$(sed -nE 's/.*\(NEEDED\).*\[(lib[^]]+)\]$/\1/p' dynamic)
else
    libraries=$(ldd "$BIN" | sed -nE 's/^[[:space:]]*(lib[^ ]+) => .*/\1/p')
fi
for library in $libraries; do : >"$library"; done
is "at least 5 libraries" "$([ "$(wc -w <<<"$libraries")" -ge 5 ] && echo yes)" yes
expect 0 --version

summary
