#!/usr/bin/env bash
# `cmake --install`: where files go, that an installed tree can be moved, that it finds its configurations and models from
# any folder, that what it prints works; the manual pages and completions are those of the program under test.
. "$(dirname "$0")/lib.sh"

BUILD=$(dirname "$BIN")
command -v cmake >/dev/null && [ -e "$BUILD/cmake_install.cmake" ] || {
    skip "installing: no cmake, or the program does not lie in its build folder"
    summary
    exit
}
install_to() { # PREFIX DESTDIR
    DESTDIR=$2 cmake --install "$BUILD" --prefix "$1" >"$OUT" 2>"$ERR" || { fail "cmake --install" && show; }
}
cmp -s "$BUILD/man/echoquant.1" <("$BIN" help --man) || skip "manual pages of the build are older than the program"
install_to "$TMP/prefix" ""
install_to /usr "$TMP/stage"
is "the same files under DESTDIR" "$(cd stage/usr && find . -type f | sort | sed 's|vendor-completions|site-functions|' | sha256sum)" \
    "$(cd prefix && find . -type f | sort | sed 's|vendor-completions|site-functions|' | sha256sum)"
mv prefix moved && mkdir empty
there moved/bin/echoquant moved/share/echoquant/configs/{default,echonet,smoke}.json moved/share/echoquant/models/demo.safetensors \
    moved/share/man/man1/echoquant{,-run-all,-predict}.1* moved/share/man/man7/echoquant-settings.7* \
    moved/share/bash-completion/completions/echoquant moved/share/zsh/*/_echoquant moved/share/doc/echoquant/{README.md,copyright}

BIN=$TMP/moved/bin/echoquant
cd empty
SMALL=(--set synth.train=6 --set synth.val=2 --set synth.test=3 "${TINY[@]}" --set train.epochs=1)
for name in smoke smoke.json configs/smoke.json ./configs/smoke configs/smoke; do
    expect 0 train --config "$name" "${SMALL[@]}" --run "r-${name//\//-}"
    has "$ERR" "moved/share/echoquant/configs/smoke.json"
    has "r-${name//\//-}/config.json" "moved/share/echoquant/configs/smoke.json"
done
# Nothing else is looked up there: other folders, other names, paths.
for name in nowhere nowhere.json other/smoke.json ../share/echoquant/configs/smoke.json "" configs/ configs/../smoke configs//smoke; do
    run train --config "$name" "${SMALL[@]}" --run no
    is "--config \"$name\" is refused" "$((STATUS > 0))" 1
done
not_there no
# A file of that name in the working directory goes first, a broken one too.
mkdir configs && echo '{"train": {"epochs": "x"}}' >configs/smoke.json
expect_error 2 "configs/smoke.json" train --config configs/smoke.json --run no
expect_error 1 "configs" train --config configs --run no

# The small model, from everywhere.
clip=$(ls data/synthetic-smoke/Videos/*.avi | head -n 1)
for model in demo demo.safetensors ./models/demo models/demo.safetensors; do
    expect 0 predict --model "$model" "$clip"
    is "rows of $model" "$(wc -l <"$OUT")" 2
done
expect 0 bench --model demo --set bench.repeats=1 --set bench.warmup=0
expect_error 1 "nowhere" predict --model nowhere "$clip"

# The command that help recommends, and the configurations by the names of README.
expect 0 help
start=$(sed -n 's/^Start here: echoquant //p' "$OUT")
is "the start is one command" "$(wc -l <<<"$start")" 1
rm -r configs
mkdir start && cd start
# shellcheck disable=SC2086
expect 0 $start "${SMALL[@]}"
there runs/default/report.html data/synthetic/FileList.csv
summary
