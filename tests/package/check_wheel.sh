#!/usr/bin/env bash
# check_wheel.sh FILE.whl: the wheel installs in a clean root that has Python and none of the libraries, and runs there.
. "$(dirname "$0")/clean_root.sh"

WHEEL=$(realpath "$1")
cp "$WHEEL" "$ROOT/try/"
say "Python in the clean root"
inside 'apt-get update -q && apt-get install -q -y --no-install-recommends python3 python3-venv' >"$ROOT/try/log" ||
    { tail -n 20 "$ROOT/try/log"; exit 1; }
inside 'if ldconfig -p | grep -E "libavcodec|openblas|cjson|protobuf-c|libcsv"; then exit 1; fi'
inside 'useradd -m tester && chown -R tester /try'
say "installing"
inside "su tester -c 'python3 -m venv /try/env && /try/env/bin/pip install --no-index --no-deps -q /try/$(basename "$WHEEL")'"
say "running"
inside "su tester -c 'PROGRAM=/try/env/bin/echoquant; set -e; $TRY'"
inside "su tester -c 'cd /try && env/bin/python -m echoquant --version && env/bin/python -c \"import echoquant; print(echoquant.binary())\"'"
say "$(basename "$WHEEL"): installs and runs"
