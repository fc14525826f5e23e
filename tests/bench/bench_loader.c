/*
 * How long the loader takes for a clip, when nothing but it runs:
 *
 *   bench_loader DIR CACHE_DIR [ROUNDS]
 *
 * One line for each number of workers: the minimum and median over ROUNDS epochs, by turns, of clips that are decoded,
 * come from CACHE_DIR, or come from memory, in ms a clip. The clips have to be older than two seconds.
 */
#include "echoquant/data.h"

#include <stdlib.h>
#include <string.h>

enum way { DECODED, DISK, MEMORY, WAYS };
static const int workers[] = {1, 2, 4, 8};
enum { KINDS = sizeof workers / sizeof *workers, MAX_ROUNDS = 1000 };
static double ms[KINDS][WAYS][MAX_ROUNDS];

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum eq_status run_epoch(struct eq_loader *l, double *per_clip, struct eq_err *err)
{
    double start = eq_now_ms();
    int clips = 0;
    EQ_CHECK(eq_loader_start(l, 0, 0, err));
    for (struct eq_batch b = {.n = 1}; b.n; clips += b.n)
        EQ_CHECK(eq_loader_next(l, &b, err));
    *per_clip = (eq_now_ms() - start) / clips;
    return EQ_OK;
}

static enum eq_status bench(const struct eq_dataset *ds, const uint32_t *all, const char *cache_dir, int rounds,
                            struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_loader *loaders[KINDS][WAYS] = {0};
    double ignored;
    for (int k = 0; k < KINDS; k++)
        for (int way = 0; way < WAYS; way++) {
            const struct eq_loader_opts o = {.sampling = {12, 112, -1.0, 1},
                                             .batch = 4,
                                             .cache_dir = way == DISK ? cache_dir : NULL,
                                             .cache_dir_bytes = UINT64_MAX,
                                             .cache_bytes = way == MEMORY ? SIZE_MAX : 0,
                                             .workers = workers[k]};
            EQ_TRY(eq_loader_new(ds, all, ds->n, &o, &loaders[k][way], err));
            EQ_TRY(run_epoch(loaders[k][way], &ignored, err));
        }
    for (int round = 0; round < rounds; round++)
        for (int k = 0; k < KINDS; k++)
            for (int way = 0; way < WAYS; way++)
                EQ_TRY(run_epoch(loaders[k][way], &ms[k][way][round], err));
    for (int k = 0; k < KINDS; k++) {
        printf("%d worker%s", workers[k], eq_plural(workers[k]));
        for (int way = 0; way < WAYS; way++) {
            qsort(ms[k][way], (size_t)rounds, sizeof ms[k][way][0], compare_double);
            printf(", %s %.3f (%.3f)", (const char *const[]){"decoded", "from disk", "from memory"}[way], ms[k][way][0],
                   ms[k][way][rounds / 2]);
        }
        printf("\n");
    }
out:
    for (int k = 0; k < KINDS; k++)
        for (int way = 0; way < WAYS; way++)
            eq_loader_free(loaders[k][way]);
    return st;
}

int main(int argc, char **argv)
{
    int64_t rounds = 15;
    struct eq_dataset ds = {0};
    struct eq_err err = {0};
    uint32_t *all = NULL;
    enum eq_status st;
    if (argc < 3 || argc > 4 || (argc == 4 && !eq_parse_int64(argv[3], &rounds)) || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: %s DIR CACHE_DIR [ROUNDS]\n", argv[0]);
        return 2;
    }
    EQ_TRY(eq_dataset_open(argv[1], &(struct eq_list_opts){.split_seed = 1}, &ds, &err));
    all = eq_alloc(ds.n, sizeof *all);
    for (size_t i = 0; all && i < ds.n; i++)
        all[i] = (uint32_t)i;
    EQ_TRY(all ? bench(&ds, all, argv[2], (int)rounds, &err) : eq_fail(&err, EQ_NOMEM, "out of memory"));
out:
    if (st != EQ_OK)
        fprintf(stderr, "%s\n", err.msg);
    eq_free(all);
    eq_dataset_clear(&ds);
    return eq_exit_code(st);
}
