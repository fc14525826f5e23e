#!/usr/bin/env bash
# The whole test suite in a minimal system of another release of Debian or Ubuntu, made by debootstrap:
#   test_in_root.sh [OPTIONS] RELEASE [ARGUMENTS OF CTEST]
# RELEASE is bookworm, trixie, sid, jammy, noble, or another that debootstrap knows. What is committed (HEAD) is built
# there by scripts/test.sh with warnings as errors, by a user without rights. Needs root. It ends with ctest's status.
#   --root DIR        make the system in DIR instead of a temporary folder
#   --keep            leave the system there, and use it again if DIR has one
#   --as-root         run the tests as root
#   --mirror URL      the archive of packages (or $ECHOQUANT_MIRROR); without it this system's, or debootstrap's own
#   --keyring FILE    the keys of the archive, if they are not where debootstrap looks
#   --like RELEASE    a release whose script serves, if debootstrap has none for RELEASE
#   --install PACKAGE install this one as well, e.g. --install clang --env CC=clang
#   --env NAME=VALUE  set a variable for the build and the tests
#   --log FILE        instead of build/in-root/RELEASE.log
. "$(dirname "$0")/lib.sh"
. "$ROOT/scripts/roots.sh"

help_of "$0" "${1:-}"
folder='' keep='' user=tester mirror=${ECHOQUANT_MIRROR:-} keyring='' like='' log='' extra=() variables=()
while [[ ${1:-} == -* ]]; do
    case $1 in
    --keep) keep=1 ;;
    --as-root) user=root ;;
    --root | --mirror | --keyring | --like | --install | --env | --log)
        [ -n "${2:-}" ] || die "$1 wants a value"
        case $1 in
        --root) folder=$2 ;;
        --mirror) mirror=$2 ;;
        --keyring) keyring=$2 ;;
        --like) like=$2 ;;
        --install)
            [[ $2 =~ ^[a-z0-9][a-z0-9+.-]*$ ]] || die "no name of a package: $2"
            extra+=("$2")
            ;;
        --env)
            [[ $2 =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || die "--env wants NAME=VALUE: $2"
            variables+=("$2")
            ;;
        --log) log=$2 ;;
        esac
        shift
        ;;
    *) die "unknown option: $1 (test_in_root.sh --help)" ;;
    esac
    shift
done
release=${1:-}
[ -n "$release" ] || die "which release? E.g. test_in_root.sh trixie"
[[ $release =~ ^[a-z][a-z0-9.-]*$ ]] || die "no name of a release: $release"
shift
commit=$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null) || die "$ROOT is no clone with git, whose HEAD is tested"
need_roots
find_script "$release" "$like"
find_keyring "$keyring"

if [ -z "$folder" ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/echoquant-$release-XXXXXX")
elif [ -e "$folder/.echoquant-root" ]; then
    [ -n "$keep" ] || die "$folder has a system already: --keep uses it again"
    [ "$(cat "$folder/.echoquant-root")" = "$release" ] ||
        die "$folder has another release: $(cat "$folder/.echoquant-root")"
elif [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then
    die "$folder is not empty and has no system of this script's"
fi
mkdir -p "$folder"
folder=$(realpath "$folder")
log=${log:-$ROOT/build/in-root/$release.log}
mkdir -p "$(dirname "$log")"
log=$(realpath "$log")

# A system that was not finished is of no use again.
finish() {
    if [ -n "${child:-}" ]; then
        kill -KILL -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    [ -n "$keep" ] && [ -e "$folder/.echoquant-root" ] || rm -rf --one-file-system "$folder" ||
        { sleep 1 && rm -rf --one-file-system "$folder"; }
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# step NAME COMMAND...: in a process group of its own, its output in the log; the status is in STATUS. Not for `||` or `if`,
# where a function would go on after a command that fails.
step() {
    STATUS=0
    say "$1" | tee -a "$log"
    shift
    set -m
    "$@" >>"$log" 2>&1 </dev/null &
    child=$!
    set +m
    wait "$child" || STATUS=$?
    child=
}

# must MESSAGE: ends if the last step failed.
must() {
    [ "$STATUS" != 0 ] || return 0
    tail -n 30 "$log" >&2
    die "$1: $log"
}

declare -A homes=([root]=/root [tester]=/home/tester)
home=${homes[tester]}
tree=$home/echoquant

# What is committed, with the times of now. The Python environment of an earlier run is used again.
copy_tree() {
    rm -rf "$folder$home/.venv"
    [ ! -d "$folder$tree/.venv" ] || mv "$folder$tree/.venv" "$folder$home/"
    rm -rf "${folder:?}$tree"
    mkdir -p "$folder$tree"
    git -C "$ROOT" archive HEAD | tar -x -m -C "$folder$tree"
    [ ! -d "$folder$home/.venv" ] || mv "$folder$home/.venv" "$folder$tree/"
    in_root "$folder" "chown -R $user: $home"
}

# The packages of the suite; their versions end the log's part on them.
packages() {
    host_settings "$folder"
    in_root "$folder" '
        cd "$1" && shift
        . scripts/lib.sh
        apt-get update -q
        apt-get install -q -y --no-install-recommends ca-certificates "$@"
        install_packages run test
        dpkg-query -W -f "\${Package} \${Version}\n" $(packages_of run test) "$@" 2>/dev/null | sort -u || true' \
        "$tree" ${extra[@]+"${extra[@]}"}
}

suite() {
    VARIABLES=("HOME=${homes[$user]}" "USER=$user" ECHOQUANT_WERROR=ON ${variables[@]+"${variables[@]}"})
    in_root "$folder" "cd $tree && exec setpriv --reuid=$user --regid=$user --init-groups scripts/test.sh \"\$@\"" "$@"
}

# One function, so that bash has read all of it before a run that lasts as long as this one.
main() {
    say "$release, commit $commit; log: $log"
    : >"$log"
    if [ ! -e "$folder/.echoquant-root" ]; then
        step "debootstrap, in $folder" make_root "$release" "$folder" "$mirror"
        must "debootstrap failed"
        in_root "$folder" 'useradd --create-home --shell /bin/bash tester'
        echo "$release" >"$folder/.echoquant-root"
    fi
    step "copying what is committed" copy_tree
    must "the source was not copied"
    step "installing packages" packages
    must "packages were not installed"
    step "scripts/test.sh $*" suite "$@"
    sed -n '/^[0-9]*% tests passed/,$p' "$log" | grep . || STATUS=1 must "scripts/test.sh ended before the tests"
    exit $STATUS
}
main "$@"
