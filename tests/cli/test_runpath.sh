#!/usr/bin/env bash
# Shared libraries come from the system's folders, never from the working directory, which may hold foreign data.
. "$(dirname "$0")/lib.sh"

# An empty or relative element of RUNPATH or RPATH is looked up in the working directory; $ORIGIN is the program's own.
if command -v readelf >/dev/null; then
    paths=$(readelf -d "$BIN" | sed -nE 's/.*\((RUNPATH|RPATH)\).*\[(.*)\]$/\2/p')
    while IFS= read -r path; do
        case :$path: in
            *::* | *:[!/:\$]*) fail "the RUNPATH \"$path\" leads to the working directory" ;;
            *) pass ;;
        esac
    done < <(grep . <<<"$paths")
    readelf -d "$BIN" >dynamic
    has dynamic "libcsv"
else
    skip "no readelf (package binutils)"
fi

# A file by a library's name that is none: the loader would stop at it.
libraries=$(ldd "$BIN" | sed -nE 's/^[[:space:]]*(lib[^ ]+) => .*/\1/p')
for library in $libraries; do : >"$library"; done
is "at least 5 libraries" "$([ "$(wc -w <<<"$libraries")" -ge 5 ] && echo yes)" yes
expect 0 --version

summary
