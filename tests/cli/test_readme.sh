#!/usr/bin/env bash
# README's commands, line by line as they stand there, in a folder with README's scripts and configurations of the same
# names. Only these configurations are small, and the data set is a small synthetic one.
. "$(dirname "$0")/lib.sh"

mkdir build configs scripts
cat >configs/default.json <<'JSON'
{
  "data": {"dir": "data/synthetic", "synthetic": true, "frames": 2, "size": 32},
  "synth": {"train": 6, "val": 2, "test": 3, "seed": 1},
  "model": {"width": 8},
  "train": {"epochs": 1, "batch": 2, "shift": 1},
  "ptq": {"clips": 4},
  "qat": {"epochs": 1, "batch": 2, "control": true},
  "sensitivity": {"clips": 2},
  "bench": {"warmup": 0, "repeats": 2},
  "run": {"dir": "runs/default", "seed": 1}
}
JSON

# commands HEADING: the indented lines of a section of README, and what stands between backquotes in its numbered ones.
commands() {
    awk -v heading="## $1" '/^## /{inside = $0 == heading} inside' "$SOURCE/README.md" >section
    sed -nE 's/^    (.*)/\1/p; s/^[0-9]+\. [^`]*`([a-z]+\/[^`]*)`.*/\1/p' section | grep -vE '^(runs/|import json|models = |clips = )' # nor Python, which cli.test_report runs
}

# perform LINE: runs it as a reader's shell does.
perform() {
    STATUS=0
    eval "$1" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
    if [ "$STATUS" = 0 ]; then
        pass
    else
        fail "exit $STATUS: $1"
        show
    fi
}

# The two commands, those for the first prediction, for real data and for installing. They install, configure and build, which this suite did before; here `cmake`
# gives the binary under test, and `ctest` says with what it was called. Packages and Python environment are checked.
cp "$SOURCE/scripts/"{lib,quickstart,setup,test}.sh "$SOURCE/scripts/packages.txt" scripts/
mkdir tools .venv tests
cat >tools/cmake <<CMAKE
#!/usr/bin/env bash
case \$1 in
--build) ln -sf "$BIN" build/echoquant ;;
--install) exec "$(command -v cmake)" --install "$(dirname "$BIN")" "\${@:3}" ;;
esac
CMAKE
printf '#!/usr/bin/env bash\necho "ctest $*"\n' >tools/ctest
chmod +x tools/*
cp "$SOURCE/requirements.txt" . && cp "$SOURCE/tests/requirements-onnx.txt" tests/
cp "$SOURCE/.venv/.installed" .venv/ 2>/dev/null
set_up() {
    (
        . scripts/lib.sh
        for package in $(packages_of run test); do is_installed "$package" || exit 1; done
        [ "$(cat .venv/.installed)" = "$(python3 -V) $(cat requirements.txt tests/requirements-onnx.txt | sha256sum)" ]
    ) 2>/dev/null
}
commands "Two commands" >two
is "the two commands" "$(awk '{print $1}' two | xargs)" "./scripts/quickstart.sh ./scripts/test.sh"
if set_up; then
    while IFS= read -r line; do PATH=$PWD/tools:$PATH perform "$line"; done <two
    there data/synthetic/FileList.csv runs/default/report.html
    has "$OUT" "ctest --preset release"
    rm -r runs build/echoquant
    # A user's folder has another place than the one that README shows.
    sed -e 's/runs\/default/runs\/echonet/; s/data\/synthetic/\/path\/to\/EchoNet-Dynamic/' \
        -e 's/"synthetic": true/"synthetic": false/' configs/default.json >configs/echonet.json
    cp -r data/synthetic EchoNet-Dynamic && rm EchoNet-Dynamic/synth.json
    commands "Real data" | sed "s|/data/EchoNet-Dynamic|$PWD/EchoNet-Dynamic|" >real
    is "commands for real data" "$(awk '{print $1, $2}' real | xargs)" \
        "scripts/setup.sh build/echoquant inspect build/echoquant run-all"
    while IFS= read -r line; do PATH=$PWD/tools:$PATH perform "$line"; done <real
    there runs/echonet/report.html
    rm -r runs data build/echoquant
    cp -r "$SOURCE/models" .
    commands "A first prediction" >prediction
    is "commands for a prediction" "$(awk '{print $1, $2}' prediction | xargs)" "scripts/setup.sh build/echoquant synth build/echoquant predict"
    while IFS= read -r line; do PATH=$PWD/tools:$PATH perform "$line"; done <prediction
    is "rows of the prediction" "$(wc -l <"$OUT")" 2
    rm -r data models build/echoquant
    if emulated; then
        skip "installing: what starts the emulator does not lie in the build folder"
        ln -sf "$BIN" build/echoquant
    else
        commands "Install" >install
        mkdir home
        while IFS= read -r line; do HOME=$PWD/home PATH=$PWD/tools:$PATH perform "$line"; done <install
        there home/.local/bin/echoquant home/.local/share/man/man1/echoquant.1*
    fi
else
    skip "commands that install and build: packages or .venv are not as scripts/test.sh leaves them"
    ln -sf "$BIN" build/echoquant
fi

commands "Step by step" >steps
is "commands at least" "$(($(grep -c '^echoquant ' steps) >= 12))" 1
while IFS= read -r line; do
    if [ "$line" != "${line%clip.avi*}" ]; then cp "$(ls data/synthetic/Videos/*.avi | head -n 1)" clip.avi; fi
    perform "$line"
    # A comment says what the command leaves, where that is a file.
    for file in $(grep -o '# .*' <<<"$line" | grep -oE '(runs/)[a-z0-9_/]+\.[a-z]+'); do there "$file"; done
done <steps
is "echoquant" "$(command -v echoquant)" "$PWD/build/echoquant"
there data/synthetic/FileList.csv runs/default/report.html runs/default/results.json runs/default/sensitivity.json ptq.onnx

# The folder of synth, named in one of two ways.
expect 0 synth --data named --set synth.train=1 --set synth.val=1 --set synth.test=1
is "its output" "$(cat "$OUT")" "named/FileList.csv"
expect 0 synth named --set synth.train=1 --set synth.val=1 --set synth.test=1
expect_error 2 "DIR" synth
expect_error 2 "DIR" synth one --data two
expect 0 synth named --data named --set synth.train=1 --set synth.val=1 --set synth.test=1
expect_error 2 "DIR" synth one two
expect_error 2 "DIR" synth --set data.dir=one
not_there one
summary
