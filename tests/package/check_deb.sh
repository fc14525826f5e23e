#!/usr/bin/env bash
# check_deb.sh FILE.deb: the package installs in a clean root, runs there as a user without rights, and goes without a
# trace.
. "$(dirname "$0")/clean_root.sh"

DEB=$(realpath "$1")
cp "$DEB" "$ROOT/try/echoquant.deb"
dpkg-deb --info "$DEB"
if command -v lintian >/dev/null; then
    say "lintian"
    # The maintainer is whoever distributes the package (ECHOQUANT_CONTACT), and the changelog is not of Debian's form.
    lintian --fail-on error,warning --allow-root --suppress-tags bogus-mail-host,syntax-error-in-debian-changelog "$DEB"
fi
say "installing"
inside 'apt-get update -q && apt-get install -q -y --no-install-recommends /try/echoquant.deb man-db bash-completion' >"$ROOT/try/log" ||
    { tail -n 20 "$ROOT/try/log"; exit 1; }
inside 'useradd -m tester && chown -R tester /try'
say "running"
inside "su tester -c 'PROGRAM=echoquant; set -e; $TRY'"
# dpkg leaves manual pages out of minimal images; what the package holds is looked at instead.
inside 'dpkg -L echoquant | grep -E "man1/echoquant-predict.1|man7/echoquant-settings.7|completions/echoquant|_echoquant"'
inside 'bash -c ". /usr/share/bash-completion/bash_completion; _completion_loader echoquant; complete -p echoquant"'
say "removing"
inside 'apt-get purge -q -y echoquant >/dev/null; if find / -xdev -path /proc -prune -o -path /try -prune -o -path "*var/lib/apt*" -prune -o -name "*echoquant*" -print | grep .; then exit 1; fi'
say "$(basename "$DEB"): installs, runs and goes"
