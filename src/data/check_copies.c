/* Copies among the clips of a data set. Links to one file need no reading: the others are compared by their bytes. */
#include "data/check.h"

#include <stdlib.h>
#include <string.h>

struct link {
    uint64_t device, inode;
    uint32_t sample;
};

static int compare(const void *a, const void *b)
{
    const struct link *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return x->sample < y->sample ? -1 : x->sample > y->sample;
}

/* first[i]: the first sample that leads to the same file as sample i. links: [n], for sorting. */
static void find_links(const struct eq_cached_clip *files, size_t n, struct link *links, uint32_t *first)
{
    for (size_t i = 0; i < n; i++)
        links[i] = (struct link){files[i].device, files[i].inode, (uint32_t)i};
    qsort(links, n, sizeof *links, compare);
    for (size_t i = 0; i < n; i++) {
        bool same = i && links[i].device == links[i - 1].device && links[i].inode == links[i - 1].inode;
        first[links[i].sample] = same ? first[links[i - 1].sample] : links[i].sample;
    }
}

static void add_pair(struct eq_data_check *c, const struct eq_sample *first, const struct eq_sample *copy)
{
    bool across = copy->split != first->split;
    eq_data_check_add(c, across ? EQ_FINDING_COPY_ACROSS : EQ_FINDING_COPY, first->file_name, (int)first->split,
                      across ? eq_split_name(copy->split) : NULL);
    c->findings[c->n_findings - 1].other = eq_strdup(copy->file_name);
}

/* distinct: as ds, with one sample for each file; origin: its samples in ds. */
static enum eq_status compare_files(const struct eq_dataset *distinct, const uint32_t *origin, uint32_t *first,
                                    struct eq_err *err)
{
    struct eq_copies copies;
    EQ_CHECK(eq_dataset_copies(distinct, &copies, err));
    for (size_t i = 0; i < copies.n; i++)
        first[origin[copies.copies[i].sample]] = origin[copies.copies[i].first];
    eq_copies_clear(&copies);
    return EQ_OK;
}

enum eq_status eq_check_copies(struct eq_data_check *c, const struct eq_dataset *ds, const struct eq_cached_clip *files,
                               struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t n = ds->n;
    struct eq_dataset distinct = {.dir = ds->dir, .samples = calloc(n + 1, sizeof *distinct.samples)};
    struct link *links = calloc(n + 1, sizeof *links);
    uint32_t *first = calloc(n + 1, sizeof *first), *origin = calloc(n + 1, sizeof *origin);
    if (!distinct.samples || !links || !first || !origin)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for finding copies of clips"));
    find_links(files, n, links, first);
    for (size_t i = 0; i < n; i++) {
        if (first[i] != i || c->clips[i].fault)
            continue;
        origin[distinct.n] = (uint32_t)i;
        distinct.samples[distinct.n++] = ds->samples[i];
    }
    EQ_TRY(compare_files(&distinct, origin, first, err));
    for (size_t i = 0; i < n; i++) {
        uint32_t of = first[first[i]]; /* of the link's file */
        if (of != i && !c->clips[i].fault)
            add_pair(c, &ds->samples[of], &ds->samples[i]);
    }
out:
    free(distinct.samples); /* which borrowed the texts */
    free(links);
    free(first);
    free(origin);
    return st;
}
