#!/usr/bin/env bash
# MPICH 4.0.2-3+b1 (Debian 12, libmpich12): MPI_Init replaces the handler that the program has set for SIGUSR1 by one of
# its own, in every process, also in a lone one without a launcher. It does not call the program's handler. SIGUSR2,
# SIGTERM and SIGHUP still reach the program. MPI_Finalize gives the handler back. A job that asks
# Slurm for a warning (sbatch --signal=USR1@120) is thus never told, and loses what it did since its last checkpoint.
# For us: src/dist/mpi.c sets the program's handlers again after MPI_Init; cli.test_mpi stops processes by SIGUSR1.
#
# Output seen:
#   before MPI_Init: called by USR1 USR2 TERM HUP
#   after MPI_Init: called by USR2 TERM HUP
#   after MPI_Finalize: called by USR1 USR2 TERM HUP
# Needs: apt-get download, dpkg-deb, gcc on Debian 12 amd64. Ends with 0 as long as the behavior is the one above, 77 where
# this version can't be had.
set -euo pipefail
version=4.0.2-3+b1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -q download "libmpich12=$version" "libmpich-dev=$version" libucx0 libhwloc15 libnuma1 >download.log 2>&1 || {
    echo "skipped: this version can't be had here"
    exit 77
}
for package in ./*.deb; do
    dpkg-deb -x "$package" root
done
lib=root/usr/lib/x86_64-linux-gnu
cat >signals.c <<'C'
#include <mpi.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t called;
static void note(int number)
{
    called = number;
}

static void ask(const char *when)
{
    static const struct {
        int number;
        const char *name;
    } all[] = {{SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGTERM, "TERM"}, {SIGHUP, "HUP"}};
    printf("%s: called by", when);
    for (int i = 0; i < 4; i++) {
        struct sigaction now;
        called = 0;
        sigaction(all[i].number, NULL, &now);
        if (now.sa_handler != SIG_DFL)
            raise(all[i].number);
        if (called == all[i].number)
            printf(" %s", all[i].name);
    }
    puts("");
}

int main(int argc, char **argv)
{
    signal(SIGUSR1, note);
    signal(SIGUSR2, note);
    signal(SIGTERM, note);
    signal(SIGHUP, note);
    ask("before MPI_Init");
    MPI_Init(&argc, &argv);
    ask("after MPI_Init");
    MPI_Finalize();
    ask("after MPI_Finalize");
    return 0;
}
C
gcc -o signals signals.c -I root/usr/include/x86_64-linux-gnu/mpich "$lib/libmpich.so.12" -Wl,--allow-shlib-undefined
LD_LIBRARY_PATH=$lib ./signals >seen 2>messages || {
    cat messages >&2
    exit 1
}
cat seen
diff - seen <<'SEEN' || { echo "another behavior than stated" && exit 1; }
before MPI_Init: called by USR1 USR2 TERM HUP
after MPI_Init: called by USR2 TERM HUP
after MPI_Finalize: called by USR1 USR2 TERM HUP
SEEN
echo "as seen before: MPICH $version takes SIGUSR1"
