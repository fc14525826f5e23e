# Shared by the scripts in this folder: sourced, not run. It says each step, and does only what is missing.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '== %s\n' "$*"
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# help_of SCRIPT ARGUMENT: prints the comment at the head of the script and ends, if the argument asks for help.
help_of() {
    case "${2:-}" in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"
        exit 0
        ;;
    esac
}

# Names of the packages in the given sections of packages.txt that this release needs.
packages_of() {
    local section release
    release=$(. /etc/os-release 2>/dev/null && echo "${UBUNTU_CODENAME:-${VERSION_CODENAME:-}}")
    for section in "$@"; do
        awk -v section="[$section]" -v release="$release" '
            /^\[/ {inside = $1 == section; next}
            /^#/ || !NF || !inside || ($4 == "only:" && $3 != release) {next}
            {print $1}' "$ROOT/scripts/packages.txt"
    done
}

# Whether NVIDIA's driver is there, also from within a container or WSL. An argument: the root of another system.
has_nvidia() {
    [ -e "${1:-}/dev/nvidiactl" ] || [ -e "${1:-}/usr/lib/wsl/lib/libcuda.so.1" ]
}

# Can be left out where a release lacks it.
is_optional() {
    grep -qE "^$1 +# optional: " "$ROOT/scripts/packages.txt"
}

are_available() {
    apt-get install -s -q --no-install-recommends "$@" >/dev/null 2>&1
}

is_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Root is needed only when something is missing.
may_install() {
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null
}

# Without root, optional packages are done without: the archive may lack them, too.
do_without() {
    local package
    for package in "${MISSING[@]}"; do
        is_optional "$package" ||
            die "installing packages needs root or sudo. As root: apt-get install ${MISSING[*]}"
    done
    say "packages: installing needs root or sudo; does without ${MISSING[*]}"
}

install_packages() {
    command -v dpkg-query >/dev/null ||
        die "this system has no dpkg. Install by hand what scripts/packages.txt lists, then: cmake --preset release && cmake --build build"
    MISSING=()
    local package
    for package in $(packages_of "$@"); do
        is_installed "$package" || MISSING+=("$package")
    done
    if [ ${#MISSING[@]} = 0 ]; then
        say "packages: all installed"
        return
    fi
    if ! may_install; then
        do_without
        return
    fi
    say "packages: installing ${MISSING[*]}"
    as_root apt-get update -q
    local found=() absent=()
    if are_available "${MISSING[@]}"; then
        found=("${MISSING[@]}")
    else
        for package in "${MISSING[@]}"; do
            if are_available "$package"; then
                found+=("$package")
            elif is_optional "$package"; then
                say "packages: this system has no $package, and does without"
            else
                absent+=("$package")
            fi
        done
    fi
    [ ${#absent[@]} = 0 ] ||
        die "this system lacks these packages: ${absent[*]} (on Ubuntu: is universe among apt's sources?)"
    [ ${#found[@]} = 0 ] ||
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${found[@]}"
}

# Tests stay configured if they were and can still be built, since quickstart and the notebook also run inside the suite.
# Warnings are errors only where ECHOQUANT_WERROR=ON asks for it, as .ci/run does: a newer compiler must not keep a user out.
configure() {
    local tests=$1
    if [ "$tests" = keep ]; then
        tests=OFF
        if grep -qs '^ECHOQUANT_TESTS:BOOL=ON' "$ROOT/build/CMakeCache.txt" && pkg-config --exists cmocka; then
            tests=ON
        fi
    fi
    say "configuring build/ (preset release, tests $tests)"
    (cd "$ROOT" && cmake --preset release -DECHOQUANT_TESTS="$tests" \
        ${ECHOQUANT_WERROR:+-DECHOQUANT_WERROR="$ECHOQUANT_WERROR"} --log-level=NOTICE)
}

# build [TARGET]: everything without a target.
build() {
    say "building ${1:-everything}"
    (cd "$ROOT" && cmake --build build ${1:+--target "$1"})
}

# A virtual environment in .venv with requirements.txt and what the ONNX test wants; made again only when these files or
# Python change. Not every Python and CPU has an onnxruntime: without it that one test is skipped, and says so.
python_environment() {
    local stamp wanted pip onnx="$ROOT/tests/requirements-onnx.txt"
    stamp="$ROOT/.venv/.installed"
    wanted="$(python3 -V) $(cat "$ROOT/requirements.txt" "$onnx" | sha256sum)"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        say "Python packages: all installed in .venv"
        return
    fi
    say "Python packages: installing requirements.txt and tests/requirements-onnx.txt into .venv"
    python3 -m venv --clear "$ROOT/.venv"
    pip=("$ROOT/.venv/bin/python" -m pip install -q --disable-pip-version-check)
    "${pip[@]}" -r "$ROOT/requirements.txt"
    "${pip[@]}" -r "$onnx" || say "no ONNX Runtime for this system: the ONNX test will be skipped"
    printf '%s\n' "$wanted" >"$stamp"
}
