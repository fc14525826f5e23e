# Sourced by what runs the fuzz targets.
fuzz_targets=$(dirname "${BASH_SOURCE[0]}")/targets.txt

# fuzz_options TARGET: sets the array `options` and, for a campaign, `millions`. A target that targets.txt lacks has the
# usual ones.
fuzz_options() {
    local line dict
    line=$(awk -v name="$1" '$1 == name { $1 = ""; print }' "$fuzz_targets")
    read -r millions line <<<"${line:-10 -max_len=1024}"
    read -ra options <<<"$line -timeout=20" # s; for an input that does not end
    dict=$(dirname "$fuzz_targets")/dict/$1.dict
    if [ -f "$dict" ]; then
        options+=("-dict=$dict")
    fi
}
