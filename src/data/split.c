/*
 * The split of a list without one: patients, or clips where there are none, are ordered by a hash of seed and name, and
 * the order is cut at 70 and 85 %. Cutting an order instead of comparing each hash with a threshold keeps the shares
 * exact in small sets. The order of rows does not matter, and a patient that comes or goes moves at most one other over
 * each cut.
 */
#include "data/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *eq_split_name(enum eq_split s)
{
    static const char *const names[EQ_SPLIT_COUNT] = {"TRAIN", "VAL", "TEST"};
    return s >= 0 && s < EQ_SPLIT_COUNT ? names[s] : "?";
}

bool eq_split_named(const char *name, enum eq_split *out)
{
    for (int split = 0; split < EQ_SPLIT_COUNT; split++)
        if (strcmp(name, eq_split_name((enum eq_split)split)) == 0) {
            *out = (enum eq_split)split;
            return true;
        }
    return false;
}

struct ranked {
    uint64_t rank;
    const char *name; /* of the patient, or of the clip */
    uint32_t patient; /* 0: none */
    size_t sample;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->patient > y->patient) - (x->patient < y->patient);
}

static bool goes_with(const struct ranked *x, const struct ranked *y)
{
    return x->patient && x->patient == y->patient;
}

/* FNV-1a's low bits follow the last letters of near-equal names; Philox spreads them. */
static uint64_t rank_of(const char *name, uint64_t seed)
{
    struct eq_rng rng;
    uint64_t hash = eq_hash64(name, strlen(name));
    eq_rng_init(&rng, seed, EQ_RNG_SPLIT, (uint32_t)(hash >> 32), (uint32_t)hash);
    uint64_t high = eq_rng_u32(&rng);
    return high << 32 | eq_rng_u32(&rng);
}

enum eq_status eq_split_assign(struct eq_dataset *ds, const char *const *patients, uint64_t seed, struct eq_err *err)
{
    struct ranked *order = eq_alloc(ds->n ? ds->n : 1, sizeof *order);
    if (!order)
        return eq_fail(err, EQ_NOMEM, "out of memory for the split of %zu clips", ds->n);
    for (size_t i = 0; i < ds->n; i++) {
        uint32_t patient = ds->samples[i].patient;
        const char *name = patient ? patients[patient - 1] : ds->samples[i].file_name;
        order[i] = (struct ranked){rank_of(name, seed), name, patient, i};
    }
    qsort(order, ds->n, sizeof *order, compare_ranked);

    size_t groups = 0;
    for (size_t k = 0; k < ds->n; k++)
        groups += k == 0 || !goes_with(&order[k], &order[k - 1]);
    size_t held_out = (size_t)llround(0.15 * (double)groups);
    if (held_out == 0 && groups >= 3)
        held_out = 1;
    size_t train_end = groups - 2 * held_out, val_end = groups - held_out, group = 0;
    for (size_t k = 0; k < ds->n; k++) {
        group += k > 0 && !goes_with(&order[k], &order[k - 1]);
        ds->samples[order[k].sample].split = group < train_end ? EQ_SPLIT_TRAIN
                                             : group < val_end ? EQ_SPLIT_VAL
                                                               : EQ_SPLIT_TEST;
    }
    eq_free(order);
    return EQ_OK;
}
