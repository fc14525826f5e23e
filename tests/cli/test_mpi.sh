#!/usr/bin/env bash
# Processes of mpirun that share a run: 1, 2, 3 and 4 of them give the same bytes, a run that was stopped on some goes on
# with others, and what fails in one ends all, with its message and exit code.
. "$(dirname "$0")/lib.sh"
# Open MPI keeps memory, partly of components that are unloaded before leaks are looked for, so that no suppression can name
# them.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# More processes than CPUs, as root in a container: what is measured nowhere.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_base_warn_component_unused=0
# The same for the launcher of Open MPI 5, PRRTE.
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none
unset OMPI_COMM_WORLD_SIZE PMI_SIZE PMI_RANK PMIX_RANK PMI_FD SLURM_NTASKS SLURM_STEP_NUM_TASKS
PATIENCE=${ECHOQUANT_TEST_PATIENCE:-1}
MPIRUN=${ECHOQUANT_MPIRUN:-mpirun}

tiny_data d
SETTINGS=("${TINY[@]}" --data d --threads 1 --set train.batch=1 --set train.accumulate=4 --set train.ema=0.9
    --set train.random_phase=true --set qat.batch=1 --set qat.accumulate=4 --set qat.control=true)

# ---- a launcher that the program cannot join ---------------------------------

# Alone, although the launcher started several: they would all write one run.
export SLURM_NTASKS=4
expect_error 2 "srun --mpi=pmix -n 4 echoquant train --run alone" train --run alone "${SETTINGS[@]}"
not_there alone
expect 0 inspect d
unset SLURM_NTASKS

OMPI_COMM_WORLD_SIZE=2 run train --run alone "${SETTINGS[@]}"
not_there alone
if grep -q "built without MPI" "$ERR"; then
    is "exit without MPI" "$STATUS" 1
    skip "the other checks: this build has no MPI"
    summary
    exit
fi
is "exit of one that finds no others" "$STATUS" 2
has "$ERR" "mpirun -n 2 echoquant train --run alone"
if ! command -v "$MPIRUN" >/dev/null; then
    skip "the other checks: no $MPIRUN"
    summary
    exit
fi

# ranks N ARGUMENTS...: as run, on N processes.
ranks() {
    local n=$1
    shift
    STATUS=0
    timeout $((120 * PATIENCE)) "$MPIRUN" -n "$n" "$BIN" "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
}

# expect_ranks N STATUS ARGUMENTS...
expect_ranks() {
    local n=$1 wanted=$2
    shift 2
    ranks "$n" "$@"
    is "exit on $n processes: $*" "$STATUS" "$wanted"
    [ "$STATUS" = "$wanted" ] || show
}

# by_rank COMMAND... -- COMMAND...: the first on rank 0, the second on the others. (`mpirun -n 1 ... : -n 1 ...` ends in a
# segmentation fault of Debian's Open MPI 5.0.7, whatever it starts.)
cat >by_rank <<'SH'
#!/usr/bin/env bash
first=()
while [ "$1" != -- ]; do
    first+=("$1")
    shift
done
shift
[ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-$PMIX_RANK}}" != 0 ] || set -- "${first[@]}"
exec "$@"
SH
chmod +x by_rank

# differing COMMAND... -- COMMAND...: two processes, as by_rank.
differing() {
    STATUS=0
    timeout $((60 * PATIENCE)) "$MPIRUN" -n 2 "$TMP/by_rank" "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
}

# ---- the same bytes for any number -------------------------------------------

expect 0 run-all --run one "${SETTINGS[@]}"
for n in 2 3 4; do
    expect_ranks "$n" 0 run-all --run "many$n" "${SETTINGS[@]}"
    is "result on stdout" "$(tail -n 1 "$OUT")" "many$n/report.html"
    for model in fp32 ptq qat fp32_plus; do
        same "one/$model.safetensors" "many$n/$model.safetensors"
        same "one/predictions/$model.csv" "many$n/predictions/$model.csv"
    done
    is "loss curve on $n" "$(history_values "many$n/history/fp32.csv")" "$(history_values one/history/fp32.csv)"
    not_there "many$n/state/fp32.state.safetensors"
done
expect 0 verify many4
expect_ranks 2 0 run-all --run many2 # finished
has "$ERR" "nothing to do"
expect_ranks 3 0 eval --run many3 fp32
same one/predictions/fp32.csv many3/predictions/fp32.csv
expect_ranks 2 0 train --run json --json "${SETTINGS[@]}"
is "objects on stdout" "$(grep -c '"path"' "$OUT")" 1

# The time that a step waits, in its history and in bench.
is "waiting in the history" "$(head -n 1 many2/history/fp32.csv | cut -d, -f 9)" waited
is "waiting of one process" "$(awk -F, 'NR > 1 && $9 != 0' one/history/fp32.csv)" ""
STEP=(--train --clips 1 --set model.width=8 --frames 2 --size 32 --set bench.steps=3 --threads 1 --set train.accumulate=4)
expect_ranks 2 0 bench "${STEP[@]}" --json
python3 - "$OUT" <<'PY' && pass || fail "bench --train on 2 processes"
import json, sys
r = json.load(open(sys.argv[1]))
assert (r["processes"], r["micro_batches"]) == (2, 4), r
assert r["waited_ms"]["median"] >= r["waited_ms"]["min"] > 0 and 0 < r["waited_share"] < 1, r
assert r["clip_ms"]["min"] == r["step_ms"]["min"] / 4 and r["parts_ms"]["exchange"] > 0, r
PY
expect_ranks 3 0 bench "${STEP[@]}"
has "$OUT" "4 such micro-batches a step, on 3 processes"
has "$OUT" "waiting"
expect_ranks 2 2 bench "${STEP[@]}" --layers
has "$ERR" "--layers measures one process"
expect_ranks 2 2 bench --fresh fp32
has "$ERR" "not shared between processes"

# Ranges and scales that are learned.
expect 0 train --run lsq1 "${SETTINGS[@]}" --set qat.method=lsq
cp -r lsq1 lsq3
expect 0 qat --run lsq1
expect_ranks 3 0 qat --run lsq3
same lsq1/qat.safetensors lsq3/qat.safetensors

# In Winograd's domain: the ranges of points follow what all processes saw.
expect 0 train --run domain1 "${SETTINGS[@]}" --set ptq.arithmetic=winograd --set qat.arithmetic=winograd
cp -r domain1 domain3
expect 0 qat --run domain1
expect_ranks 3 0 qat --run domain3
same domain1/qat.safetensors domain3/qat.safetensors

# Seeds side by side: more than processes, and the report of all.
MANY=("${TINY[@]}" --data d --threads 1 --set train.seeds=3 --set train.epochs=1)
expect 0 run-all --run seeds1 "${MANY[@]}"
expect_ranks 2 0 run-all --run seeds2 "${MANY[@]}" --set dist.seeds=ranks
for seed in 1 2 3; do
    for model in fp32 ptq qat; do
        same "seeds1/seed-$seed/$model.safetensors" "seeds2/seed-$seed/$model.safetensors"
    done
done
there seeds2/report.html
is "result on stdout" "$(tail -n 1 "$OUT")" "seeds2/report.html"

# ---- stopped on two, resumed on others ----------------------------------------

LONG=("${SETTINGS[@]}" --set train.epochs=30)
expect 0 train --run whole "${LONG[@]}"

# start N ARGUMENTS...: mpirun in the background; CHILD is its number.
start() {
    local n=$1
    shift
    "$MPIRUN" -n "$n" "$BIN" "$@" >"$OUT" 2>"$ERR" </dev/null &
    CHILD=$!
}

# below PID: the processes that it started, and those that they did.
below() {
    local pid
    for pid in $(ps -o pid= --ppid "$1"); do
        echo "$pid"
        below "$pid"
    done
}

# process_of RANK: the number of a process of CHILD.
process_of() {
    local pid
    for pid in $(below "$CHILD"); do
        if tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx -e "OMPI_COMM_WORLD_RANK=$1" -e "PMI_RANK=$1"; then
            echo "$pid"
        fi
    done
}

wait_for() {
    while [ ! -e "$1" ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.02; done
}

end() {
    STATUS=0
    wait "$CHILD" || STATUS=$?
}

start 2 train --run stopped "${LONG[@]}"
wait_for stopped/state/fp32.state.safetensors
pid=$(process_of 1)
if [ -z "$pid" ]; then
    end
    skip "stops and kills: the processes of this mpirun cannot be told apart"
else
    kill -s USR1 "$pid" # one of them is asked, all of them stop
    end
    is "exit after a signal" "$STATUS" 130
    has "$ERR" "Run the same command to resume."
    there stopped/state/fp32.state.safetensors
    cp -r stopped stopped1
    expect_ranks 4 0 train --run stopped
    has "$ERR" "resuming at epoch"
    expect 0 train --run stopped1
    same whole/fp32.safetensors stopped/fp32.safetensors
    same whole/fp32.safetensors stopped1/fp32.safetensors

    # One that is killed ends the others; the state of the last epoch is kept.
    start 2 train --run killed "${LONG[@]}"
    wait_for killed/state/fp32.state.safetensors
    kill -s KILL "$(process_of 1)"
    end
    is "a kill is a failure" "$((STATUS != 0))" 1
    not_there killed/fp32.safetensors
    expect_ranks 3 0 train --run killed
    same whole/fp32.safetensors killed/fp32.safetensors

    # One that is silent is named.
    start 2 train --run silent "${LONG[@]}" --set dist.timeout=1
    wait_for silent/state/fp32.state.safetensors
    pid=$(process_of 1)
    kill -s STOP "$pid"
    end
    kill -s CONT "$pid" 2>/dev/null
    is "exit after silence" "$STATUS" 1
    has "$ERR" "error: rank 1 ("
    has "$ERR" "has been silent for 1 s (dist.timeout)"
    expect 0 train --run silent
    same whole/fp32.safetensors silent/fp32.safetensors
fi

# A clip that breaks while one process trains. That process has the same clips in another folder.
cp -r d breaks
timeout $((60 * PATIENCE)) "$MPIRUN" -n 2 "$TMP/by_rank" "$BIN" train --run broke "${LONG[@]}" -- \
    "$BIN" train --run broke "${LONG[@]}" --data breaks >"$OUT" 2>"$ERR" </dev/null &
CHILD=$!
wait_for broke/state/fp32.state.safetensors
for clip in breaks/Videos/*.avi; do : >"$clip"; done
end
is "exit with a clip that broke" "$STATUS" 1
has "$ERR" "error: rank 1: breaks/Videos/"
is "errors" "$(grep -c '^error: ' "$ERR")" 1
there broke/state/fp32.state.safetensors
expect_ranks 2 0 train --run broke
same whole/fp32.safetensors broke/fp32.safetensors

# ---- two machines with a slow and lossy network between them ---------------------

# As two network namespaces, each with a name of its own, and a pair of virtual links.
A=eqa$$ B=eqb$$
if ! "$MPIRUN" --version 2>/dev/null | grep -q "Open MPI"; then
    skip "two machines: their options are those of Open MPI"
elif [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null || ! ip netns add "$A" 2>/dev/null; then
    skip "two machines: no network namespaces here (they need root)"
elif ! ip netns exec "$A" true 2>/dev/null || ! ip netns add "$B" ||
    ! ip link add "$A" netns "$A" type veth peer name "$B" netns "$B" 2>/dev/null; then
    ip netns del "$A"
    skip "two machines: no virtual links here, or / is no mount of its own"
else
    CLEANUP+=("ip netns del $A" "ip netns del $B")
    ip -n "$A" address add 10.77.0.1/24 dev "$A"
    ip -n "$B" address add 10.77.0.2/24 dev "$B"
    for ns in "$A" "$B"; do
        ip -n "$ns" link set lo up
        ip -n "$ns" link set "$ns" up
        if ! ip netns exec "$ns" tc qdisc add dev "$ns" root netem delay 2ms 1ms loss 1% 2>/dev/null; then
            skip "latency and loss on $ns: no netem in this kernel"
        fi
    done
    # What mpirun calls to start its part on the other machine: HOST COMMAND... The variables are those of PRRTE.
    printf '#!/bin/sh\nshift\nexec ip netns exec %s unshare --uts sh -c "hostname %s; $*"\n' "$B" "$B" >agent
    chmod +x agent
    STATUS=0
    timeout $((120 * PATIENCE)) ip netns exec "$A" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$A" \
        env PRTE_MCA_plm_ssh_agent="$TMP/agent" PRTE_MCA_prte_if_include=10.77.0.0/24 OMPI_MCA_reachable=weighted \
        "$MPIRUN" --mca plm_rsh_agent "$TMP/agent" --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 \
        --mca oob_tcp_if_include 10.77.0.0/24 --host 10.77.0.1:1,10.77.0.2:1 -n 2 \
        "$BIN" train --run apart2 "${SETTINGS[@]}" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
    is "exit on two machines" "$STATUS" 0
    [ "$STATUS" = 0 ] || show
    same one/fp32.safetensors apart2/fp32.safetensors
fi

# ---- what fails in one ends all ------------------------------------------------

# one_differs STATUS TEXT ARGUMENTS... -- ARGUMENTS...: of rank 0, and of rank 1.
one_differs() {
    local wanted=$1 text=$2
    differing "${@:3}"
    is "exit with \"$text\"" "$STATUS" "$wanted"
    has "$ERR" "error: $text"
    is "errors" "$(grep -c '^error: ' "$ERR")" 1
    is "results in spite of an error" "$(cat "$OUT")" ""
}

one_differs 2 "rank 1: this process has other settings than rank 0: train.lr=0.01, not train.lr=0.001" \
    "$BIN" train --run apart "${SETTINGS[@]}" -- "$BIN" train --run apart "${SETTINGS[@]}" --set train.lr=0.01
not_there apart/config.json
one_differs 2 "rank 1: this process has other settings than rank 0: cpu=ref, not cpu=" \
    "$BIN" train --run apart "${SETTINGS[@]}" -- "$BIN" train --run apart "${SETTINGS[@]}" --cpu ref
# Another version: the same program with another number in it.
version=$("$BIN" --version | awk 'NR == 1 { print $2 }')
VERSION=$version perl -0777 -pe 's/\Q$ENV{VERSION}\E\0/9.9.9\0/g' "$BIN" >other_version
chmod +x other_version
if [ "${#version}" = 5 ] && ./other_version --version | grep -qF 9.9.9; then
    one_differs 2 "rank 1: this process has other settings than rank 0: version=9.9.9, not version=$version" \
        "$BIN" train --run apart "${SETTINGS[@]}" -- ./other_version train --run apart "${SETTINGS[@]}"
else
    skip "another version: its number cannot be changed in this binary"
fi
cp -r d other
sed -i '2s/,[0-9.]*,/,11.5,/' other/FileList.csv
one_differs 2 "rank 1: this process has other data than rank 0" \
    "$BIN" train --run apart "${SETTINGS[@]}" -- "$BIN" train --run apart "${SETTINGS[@]}" --data other
cp -r d broken
clip=$(find broken -name '*.avi' | sort | head -n 1)
size=$(stat -c %s "$clip")
head -c "$size" /dev/zero >"$clip"
one_differs 1 "rank 1: broken: 1 of 11 clips cannot be used" \
    "$BIN" train --run apart "${SETTINGS[@]}" -- "$BIN" train --run apart "${SETTINGS[@]}" --data broken
not_there apart/fp32.safetensors

# The first process cannot write its files. Without shared memory, which would be a file, too. (Open MPI 5 does not always
# find that the addresses of one machine reach each other.)
export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo UCX_TLS=self,tcp
one_differs 1 "rank 0: full/" \
    bash -c 'ulimit -f 40; exec "$@"' - "$BIN" train --run full "${SETTINGS[@]}" -- "$BIN" train --run full "${SETTINGS[@]}"
unset OMPI_MCA_btl OMPI_MCA_btl_tcp_if_include UCX_TLS
expect_ranks 2 0 train --run full "${SETTINGS[@]}"
same one/fp32.safetensors full/fp32.safetensors

# One that may use fewer CPUs than it has threads.
if [ "$(nproc)" -gt 1 ]; then
    differing "$BIN" train --run many2 --threads 2 -- \
        taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')" "$BIN" train --run many2 --threads 2
    is "exit with a narrow affinity" "$STATUS" 0
    has "$ERR" "rank 1 may run on 1 CPU only, fewer than run.threads = 2"
    has "$ERR" "--bind-to none"
else
    skip "a narrow affinity: this machine has one CPU"
fi

# More processes than micro-batches, and a command that is not shared.
expect_ranks 3 2 train --run few "${SETTINGS[@]}" --set train.accumulate=2
has "$ERR" "set train.accumulate to a multiple of 3, or start fewer processes"
expect_ranks 2 2 inspect d
has "$ERR" "not shared between processes"

summary
