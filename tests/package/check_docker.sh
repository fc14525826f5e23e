#!/usr/bin/env bash
# check_docker.sh: performs the steps of the Dockerfile in clean roots, one for each stage, where no Docker daemon is. It
# knows the instructions that the file has, and fails at others.
. "$(dirname "$0")/clean_root.sh"

STAGES=$ROOT
CONTEXT=$(mktemp -d "${TMPDIR:-/tmp}/echoquant-context-XXXXXX")
trap 'rm -rf --one-file-system "$STAGES" "$CONTEXT"' EXIT
git -C "$SOURCE" ls-files -z | (cd "$SOURCE" && xargs -0 cp --parents -t "$CONTEXT")

# Instructions on one line each: continued ones joined, comments gone.
sed -e '/^ *#/d' "$SOURCE/Dockerfile" | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed '/^ *$/d' >"$CONTEXT.steps"
stage=
while read -r instruction words; do
    say "$instruction $words"
    case $instruction in
    FROM)
        stage=$STAGES/stage-$((${stage:+1} + 0))
        [[ $words == debian:*-slim* ]]
        mkdir -p "$stage" && cp -a "$BASE/." "$stage"
        cp -L /etc/resolv.conf "$stage/etc/" 2>/dev/null || true
        folder=/ user=
        ;;
    WORKDIR) folder=$words && mkdir -p "$stage$folder" ;;
    USER) user=$words ;;
    COPY)
        read -ra files <<<"$words"
        mkdir -p "$stage$folder/${files[-1]}"
        (cd "$CONTEXT" && cp -r "${files[@]:0:${#files[@]}-1}" "$stage$folder/${files[-1]}")
        ;;
    RUN)
        if [[ $words == --mount=type=bind,from=build,* ]]; then
            from=$(sed -E 's/.*source=([^, ]*).*/\1/' <<<"$words") to=$(sed -E 's/.*target=([^, ]*).*/\1/' <<<"$words")
            words=${words#* }
            mkdir -p "$stage$to" && cp -r "$STAGES/stage-0$from/." "$stage$to"
        fi
        ROOT=$stage inside "cd $folder && $words" >"$STAGES/log" 2>&1 </dev/null || {
            tail -n 20 "$STAGES/log"
            exit 1
        }
        ;;
    ENTRYPOINT) entry=$(tr -d '[]",' <<<"$words") ;;
    CMD) arguments=$(tr -d '[]",' <<<"$words") ;;
    *)
        echo "error: unknown instruction" >&2
        exit 1
        ;;
    esac
done <"$CONTEXT.steps"
rm "$CONTEXT.steps"

say "$user: $entry $arguments"
ROOT=$stage inside "cd $folder && su $user -c '$entry $arguments'" | head -n 4
cp "$STAGES/try/tiny.json" "$stage/work/"
ROOT=$stage inside "cd $folder && su $user -c '$entry run-all --config tiny.json --quiet && test -s runs/default/plots/scatter_fp32.svg || ls runs/default/plots'"
say "the steps of the Dockerfile work; the image was not built with Docker"
