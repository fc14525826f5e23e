#!/usr/bin/env bash
# scripts/test_in_root.sh without a root: what it refuses before it makes anything, what it asks debootstrap for, and that a
# debootstrap that fails leaves nothing. Stand-ins give the user, debootstrap and unshare. Then what becomes of packages
# that a release lacks.
. "$(dirname "$0")/lib.sh"

mkdir -p tools clone/scripts boot/scripts tmp full
cp "$SOURCE/scripts/"{test_in_root,roots,lib}.sh clone/scripts/
printf '%s\n' 'keyring keys/debian.gpg' >boot/scripts/sid
printf '%s\n' 'keyring keys/ubuntu-archive-keyring.gpg' >boot/scripts/jammy
ln -s sid boot/scripts/trixie
mkdir keys && touch keys/debian.gpg keys/ubuntu-archive-keyring.gpg keys/other.gpg full/file
stand_in() {
    cat >"tools/$1" && chmod +x "tools/$1"
}
stand_in id <<<'echo "${USER_ID:-0}"'
stand_in git <<<'echo abc1234'
stand_in apt-get <<<'printf "archive://later Debian Backports\narchive://debian Debian\narchive://ubuntu Ubuntu\n"'
stand_in unshare <<'SH'
while [[ $1 == --* ]]; do shift; done
exec "$@"
SH
stand_in debootstrap <<'SH'
printf '%s\n' "$@" >"$CALLED"
mkdir -p "${@: -3:1}/etc/dpkg/dpkg.cfg.d" # it may fail late
echo "E: it went wrong"
exit 3
SH
sed -i '1i #!/usr/bin/env bash' tools/*
export CALLED=$TMP/called TMPDIR=$TMP/tmp DEBOOTSTRAP_DIR=$TMP/boot
unset ECHOQUANT_MIRROR

# test_root ARGUMENTS...: as `run`.
test_root() {
    STATUS=0
    rm -f called
    PATH=$TMP/tools:$PATH clone/scripts/test_in_root.sh "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
}

# refused TEXT ARGUMENTS...: status 1, one error, debootstrap not called.
refused() {
    local text=$1
    shift
    test_root "$@"
    is "exit: $*" "$STATUS" 1
    is "errors: $*" "$(grep -c '^error: ' "$ERR")" 1
    has "$ERR" "$text"
    not_there called
}

test_root --help
is "help" "$STATUS $(head -c 21 "$OUT")" "0 The whole test suite "
refused "which release"
refused "which release" --keep
refused "no name of a release" ../sid
refused "no name of a release" 'a b'
refused "unknown option: --no-such" --no-such sid
refused "--root wants a value" --root
refused "--mirror wants a value" --mirror ''
refused "NAME=VALUE" --env CC sid
refused "no name of a package" --install 'x; reboot' sid
refused "does not know the release plucky: --like" plucky
refused "does not know the release plucky: --like" --like nowhere plucky
refused "is not empty and has no system" --root full sid
USER_ID=1000 refused "needs root" sid
mkdir old && echo jammy >old/.echoquant-root
refused "--keep uses it again" --root old jammy
refused "another release: jammy" --keep --root old sid
not_there old/etc
mv tools/git git
refused "no clone" sid
mv git tools/

# asked WANTED ARGUMENTS...: what debootstrap was asked for; after its failure nothing is left but the log.
asked() {
    local wanted=$1
    shift
    test_root "$@"
    is "exit: $*" "$STATUS" 1
    is "asked: $*" "$(sed -e "s|$TMP|.|" -e 's|/echoquant-sid-.*|/echoquant-sid-X|' called | xargs)" "$wanted"
    has "$ERR" "E: it went wrong"
    has "$ERR" "debootstrap failed: "
}
ask="--variant=minbase --force-check-gpg"
asked "$ask --keyring=keys/debian.gpg --components=main sid ./tmp/echoquant-sid-X archive://debian ./boot/scripts/sid" sid
asked "$ask --keyring=keys/ubuntu-archive-keyring.gpg --components=main,universe jammy ./at archive://ubuntu ./boot/scripts/jammy" \
    --root at jammy
# Of a release that debootstrap lacks: the script, so the keys and the archive, of one that it knows.
asked "$ask --keyring=keys/ubuntu-archive-keyring.gpg --components=main,universe noble ./at archive://ubuntu ./boot/scripts/jammy" \
    --keep --root at noble -L unit
asked "$ask --keyring=keys/other.gpg --components=main forky ./at archive://mine ./boot/scripts/sid" \
    --root at --like sid --keyring keys/other.gpg --mirror archive://mine forky
ECHOQUANT_MIRROR=archive://mine asked \
    "$ask --keyring=keys/debian.gpg --components=main trixie ./at archive://mine ./boot/scripts/trixie" --root at trixie
# Without an archive of this system's: the one that debootstrap has.
sed -i 's/^printf.*/:/' tools/apt-get
asked "$ask --keyring=keys/debian.gpg --components=main sid ./at ./boot/scripts/sid" --root at sid
is "what is left" "$(find tmp at 2>/dev/null)" tmp
there clone/build/in-root/sid.log
# Unsigned packages are never taken.
rm keys/debian.gpg
refused "keys/debian.gpg is missing: apt-get install" sid
is "what is left" "$(find tmp)" tmp

# LACKS: packages that this release has not; all others are to be installed.
stand_in apt-get <<'SH'
#!/usr/bin/env bash
echo "$*" >>"$CALLED"
for word in $LACKS; do [[ " $* " != *" $word "* ]] || exit 100; done
SH
stand_in dpkg-query <<'SH'
#!/usr/bin/env bash
exit 1
SH
cat >clone/scripts/packages.txt <<'TXT'
# The list.
[run]
gcc     # the compiler
zsh     # optional: completions
early   # jammy only: a schema
[other]
file    # not asked for
[test]
man-db
TXT
# installing [FUNCTION...]: install_packages run test, with functions of lib.sh replaced.
installing() {
    STATUS=0
    rm -f called
    PATH=$TMP/tools:$PATH bash -c '. clone/scripts/lib.sh; eval "$1"; install_packages run test' bash "$*" \
        >"$OUT" 2>"$ERR" || STATUS=$?
}
export LACKS=
early=$(. /etc/os-release && [ "${UBUNTU_CODENAME:-}" = jammy ] && echo " early" || true)
installing
is "installed" "$STATUS $(tail -n 1 called)" "0 install -q -y --no-install-recommends gcc zsh$early man-db"
LACKS=zsh installing
is "installed without zsh" "$STATUS $(tail -n 1 called)" "0 install -q -y --no-install-recommends gcc$early man-db"
has "$OUT" "this system has no zsh, and does without"
LACKS="zsh man-db" installing
is "nothing installed" "$STATUS $(grep -c '^install -q' called)" "1 0"
has "$ERR" "this system lacks these packages: man-db ("
# A user without rights, after root has installed what there is.
installing 'may_install() { false; };' 'is_installed() { [ "$1" != zsh ]; }'
is "without root" "$STATUS $(tail -n 1 "$OUT")" "0 == packages: installing needs root or sudo; does without zsh"
not_there called
installing 'may_install() { false; };' 'is_installed() { [ "$1" = gcc ]; }'
is "without root, nothing there" "$STATUS" 1
has "$ERR" "As root: apt-get install zsh$early man-db"
not_there called

# NVIDIA's driver, in the root of a system.
nvidia() {
    bash -c '. clone/scripts/lib.sh; has_nvidia "$1"' bash "$TMP/$1" && echo yes || echo no
}
mkdir -p bare/dev card/dev wsl/usr/lib/wsl/lib
touch card/dev/nvidiactl wsl/usr/lib/wsl/lib/libcuda.so.1
is "NVIDIA's driver" "$(nvidia bare) $(nvidia card) $(nvidia wsl)" "no yes yes"
is "packages for it" "$(bash -c '. "$1/scripts/lib.sh"; packages_of nvidia' bash "$SOURCE")" clang
summary
