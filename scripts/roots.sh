# Clean roots: minimal systems of Debian or Ubuntu, made by debootstrap. Sourced after lib.sh, not run. All mounts are
# made in a namespace of their own, so none is left whatever ends the script.

# Releases that an older debootstrap lacks, each with one that it knows and whose script serves for both.
LIKE_noble=jammy

# need_roots: root, debootstrap and unshare, or an end that says what is missing.
need_roots() {
    [ "$(id -u)" = 0 ] || die "a clean root needs root: sudo $0 ..."
    command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
    command -v unshare >/dev/null || die "unshare is missing: apt-get install util-linux"
}

# find_script RELEASE [LIKE]: sets SCRIPT, debootstrap's for it.
find_script() {
    local folder=${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts like=LIKE_$1 name
    for name in "$1" "${2:-${!like:-}}"; do
        SCRIPT=$folder/$name
        [ -z "$name" ] || [ ! -e "$SCRIPT" ] || return 0
    done
    die "debootstrap does not know the release $1: --like names one that it knows"
}

# find_keyring [FILE]: sets KEYRING, the keys of the archive, by default those that SCRIPT asks for.
find_keyring() {
    KEYRING=${1:-$(sed -n 's/^keyring  *//p' "$(readlink -f "$SCRIPT")" | head -n 1)}
    KEYRING=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
    [ -e "$KEYRING" ] ||
        die "$KEYRING is missing: apt-get install debian-archive-keyring or ubuntu-keyring, or name it with --keyring"
}

# The archive from which this system has the packages of a distribution (Debian, Ubuntu); nothing if from none.
archive_of() {
    apt-get indextargets --format '$(SITE) $(LABEL)' 2>/dev/null |
        awk -v label="$1" '{site = $1; sub(/^[^ ]+ /, "")} $0 == label && !found++ {print site}'
}

# Runs a command in mounts and processes of its own. Signals that a caller ignored are heard again.
in_namespace() {
    env --default-signal=HUP,INT,QUIT unshare --mount --pid --fork --kill-child --mount-proc "$@"
}

# make_root RELEASE FOLDER [MIRROR], with SCRIPT and KEYRING.
make_root() {
    local mirror=${3:-} components=main
    case $KEYRING in
    *ubuntu*)
        components=main,universe
        mirror=${mirror:-$(archive_of Ubuntu)}
        ;;
    *) mirror=${mirror:-$(archive_of Debian)} ;;
    esac
    in_namespace debootstrap --variant=minbase --force-check-gpg --keyring="$KEYRING" --components=$components \
        "$1" "$2" "$mirror" "$SCRIPT" || return
    echo force-unsafe-io >"$2/etc/dpkg/dpkg.cfg.d/90fast" # a system that is thrown away needs no fsync
}

# host_settings FOLDER: names, proxies and certificates of this system for a root.
host_settings() {
    cp -L /etc/resolv.conf /etc/hosts "$1/etc/" 2>/dev/null || true
    apt-config dump 2>/dev/null | grep -iE '^Acquire::((http|https)::Proxy|Check-Valid-Until)' >"$1/etc/apt/apt.conf.d/90host" || true
    mkdir -p "$1/usr/local/share/ca-certificates"
    cp -L /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || true
}

# in_root FOLDER COMMAND [WORD...]: a line of bash in a root, as root there, with words as $1 and so on. Of the environment
# only proxies stay; VARIABLES has more as NAME=VALUE.
VARIABLES=()
in_root() {
    local root=$1 name proxies=()
    shift
    for name in http_proxy https_proxy no_proxy; do
        [ -z "${!name:-}" ] || proxies+=("$name=${!name}")
    done
    in_namespace bash -c '
        set -e
        mount -t proc proc "$0/proc"
        mount --rbind --make-rslave /sys "$0/sys"
        mount -t tmpfs -o mode=1777,nosuid,nodev shm "$0/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=620 devpts "$0/dev/pts"
        mount --bind "$0/dev/pts/ptmx" "$0/dev/ptmx"
        exec chroot "$0" /usr/bin/env -i "$@"' "$root" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        ${proxies[@]+"${proxies[@]}"} ${VARIABLES[@]+"${VARIABLES[@]}"} bash -euo pipefail -c "$1" bash "${@:2}"
}
