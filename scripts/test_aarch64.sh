#!/usr/bin/env bash
# The whole program on 64-bit ARM: builds it with Debian's cross compiler in build/aarch64 and runs the tests in qemu-user.
# Arguments go to ctest, e.g. -L unit or -R test_predict. The libraries come from the arm64 packages of the system that
# apt knows (Debian; Ubuntu keeps arm64 on another server: ECHOQUANT_APT_SOURCES=FILE names a sources.list). They are
# unpacked into build/sysroot-aarch64; nothing is installed for arm64 and dpkg's architectures stay as they are.
. "$(dirname "$0")/lib.sh"
help_of "$0" "${1:-}"
SYSROOT=$ROOT/build/sysroot-aarch64
LIB=usr/lib/aarch64-linux-gnu
# The style of the sources, scripts about other things than this program, and cli.load, whose peaks of memory would be
# the emulator's.
LEFT_OUT='^style\.|^cli\.(load|test_(aarch64|in_root|sanitize|compare_peers))$'

# The libraries of packages.txt's sections run and test, with what they need, at arm64.
libraries() {
    packages_of run test | grep -E '^lib.*-dev$'
    echo "libstdc++-$(aarch64-linux-gnu-g++ -dumpversion | sed 's/\..*//')-dev"
}

# apt with folders of its own: it believes that this is an arm64 system on which nothing is installed.
apt_arm64() {
    APT_CONFIG=$SYSROOT.apt/apt.conf apt-get -q -y --no-install-recommends "$@"
}

download() {
    local apt=$SYSROOT.apt
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/state/status"
    {
        printf 'APT::Architecture "arm64";\nAPT::Architectures { "arm64"; };\nAPT::Sandbox::User "%s";\n' "$(id -un)"
        printf 'Dir::State "%s/state";\nDir::State::status "%s/state/status";\nDir::Cache "%s/cache";\n' "$apt" "$apt" "$apt"
        if [ -n "${ECHOQUANT_APT_SOURCES:-}" ]; then
            printf 'Dir::Etc::SourceList "%s";\nDir::Etc::SourceParts "/dev/null";\n' "$(realpath "$ECHOQUANT_APT_SOURCES")"
        fi
    } >"$apt/apt.conf"
    apt_arm64 update
    # shellcheck disable=SC2046
    apt_arm64 install --download-only $(libraries)
}

# Unpacked packages lack what their scripts do after an installation: /lib is a link to /usr/lib, absolute links would
# lead out of the folder, and Debian's alternatives choose an OpenBLAS.
unpack() {
    local package link
    rm -rf "$SYSROOT.part"
    mkdir "$SYSROOT.part"
    for package in "$SYSROOT.apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$SYSROOT.part"; done
    cd "$SYSROOT.part"
    if [ ! -L lib ]; then
        cp -a lib/. usr/lib/
        rm -r lib
        ln -s usr/lib lib
    fi
    find . -type l -lname '/*' | while read -r link; do ln -sfnr ".$(readlink "$link")" "$link"; done
    ln -sf openblas-pthread/libopenblas.so openblas-pthread/libopenblas.so.0 $LIB/
    ln -sf ../openblas-pthread/pkgconfig/openblas.pc $LIB/pkgconfig/
    cd "$ROOT"
    mv "$SYSROOT.part" "$SYSROOT"
    rm -rf "$SYSROOT.apt"
}

install_packages run test aarch64
python_environment
if [ ! -d "$SYSROOT" ]; then
    say "libraries for arm64: $SYSROOT"
    rm -rf "$SYSROOT.apt"
    download
    unpack
fi
cd "$ROOT"
say "configuring and building build/aarch64"
[ -e build/aarch64/build.ninja ] || cmake --preset aarch64 ${ECHOQUANT_WERROR:+-DECHOQUANT_WERROR="$ECHOQUANT_WERROR"} --log-level=NOTICE
cmake --build build/aarch64
say "ctest --preset aarch64 $*"
exec ctest --preset aarch64 --no-label-summary -E "$LEFT_OUT" "$@"
