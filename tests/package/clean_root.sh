# Sourced by the checks beside it: a minimal Debian of this system's release, fresh for each check. Needs root.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
. "$ROOT/scripts/roots.sh"
SOURCE=$ROOT
need_roots

# The base is made once; deleting build/clean-root makes it anew.
SUITE=$(. /etc/os-release && echo "$VERSION_CODENAME")
BASE=$SOURCE/build/clean-root/$SUITE
if [ ! -e "$BASE/.complete" ]; then
    say "debootstrap: a minimal $SUITE"
    rm -rf "$BASE" && mkdir -p "$BASE"
    find_script "$SUITE"
    find_keyring
    make_root "$SUITE" "$BASE" >"$BASE.log" || { tail -n 20 "$BASE.log"; exit 1; }
    rm -rf "$BASE/etc/apt/sources.list" "$BASE/etc/apt/sources.list.d" "$BASE/etc/apt/apt.conf.d"
    cp -rL /etc/apt/. "$BASE/etc/apt/"
    touch "$BASE/.complete"
fi

ROOT=$(mktemp -d "${TMPDIR:-/tmp}/echoquant-root-XXXXXX")
trap 'rm -rf --one-file-system "$ROOT"' EXIT
cp -a "$BASE/." "$ROOT"
host_settings "$ROOT"

# inside COMMAND: a line of bash in the clean root, as root.
inside() {
    in_root "$ROOT" "$1"
}

# A clip of a patient that never lived, for predict, and a configuration that trains in a moment.
mkdir -p "$ROOT/try"
cat >"$ROOT/try/tiny.json" <<'JSON'
{
  "data": {"frames": 2, "size": 32},
  "synth": {"train": 6, "val": 2, "test": 3},
  "model": {"width": 8},
  "train": {"epochs": 1, "batch": 2},
  "ptq": {"clips": 4},
  "qat": {"epochs": 1, "batch": 2},
  "bench": {"warmup": 0, "repeats": 2}
}
JSON
# What every installed program must do; $1: the command. Without gnuplot the report lacks pictures, and says so.
TRY='
cd /try
$PROGRAM --version
$PROGRAM run-all --config tiny.json --quiet 2>messages
cat messages
grep -q "gnuplot is not installed" messages
test -s runs/default/report.html
$PROGRAM predict --model demo data/synthetic/Videos/*.avi | tee predictions.csv
test "$(wc -l <predictions.csv)" = 12
$PROGRAM train --config smoke --run runs/smoke --set train.epochs=1 2>&1 | grep "share/echoquant/configs/smoke.json"
'
