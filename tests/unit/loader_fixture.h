/* A data set of small clips, and loaders over it. */
#ifndef ECHOQUANT_TESTS_LOADER_FIXTURE_H
#define ECHOQUANT_TESTS_LOADER_FIXTURE_H

#include "unit/cmocka_all.h"
#include "avi_file.h"
#include "data/augment.h"

#include <math.h>

enum { CLIPS = 11, FRAMES = 4, SIZE = 32 };
#define CLIP_BYTES ((size_t)FRAMES * SIZE * SIZE * 3)

static char *dir;
static struct eq_dataset ds;
static uint32_t all[CLIPS];

/* Clip i: 9 + i frames, texture, level 10 + 13 i + 2 t; EF 20 + 5 i. Every third has color. */
static inline int make_dataset(void **state)
{
    (void)state;
    struct eq_str list = {0};
    struct eq_err err = {0};
    dir = test_dir_new();
    eq_str_add(&list, "FileName,EF,Split\n");
    for (int i = 0; i < CLIPS; i++) {
        struct test_avi a = {.width = SIZE,
                             .height = SIZE,
                             .frames = 9 + i,
                             .texture = true,
                             .first_level = 10 + 13 * i,
                             .step = 2,
                             .cb = i % 3 == 2 ? 100 : 0};
        struct eq_str path = {0};
        eq_str_add(&path, "%s/clip%02d.avi", dir, i);
        test_avi_write(path.s, &a);
        eq_str_add(&list, "clip%02d,%d,TRAIN\n", i, 20 + 5 * i);
        eq_str_clear(&path);
        all[i] = (uint32_t)i;
    }
    char *path = eq_path_join(dir, "FileList.csv");
    test_write(path, list.s, list.len);
    free(path);
    eq_str_clear(&list);
    return eq_dataset_open(dir, &(struct eq_list_opts){.split_seed = 1}, &ds, &err) == EQ_OK ? 0 : -1;
}

static inline int remove_dataset(void **state)
{
    (void)state;
    eq_dataset_clear(&ds);
    test_dir_free(dir);
    return 0;
}

static inline struct eq_loader_opts plain_opts(void)
{
    return (struct eq_loader_opts){.sampling = {FRAMES, SIZE, -1.0, 1}, .batch = 3, .seed = 5};
}

static inline struct eq_loader_opts rich_opts(void)
{
    struct eq_loader_opts o = plain_opts();
    o.shuffle = true;
    o.augment = (struct eq_augment){.flip = true, .max_shift = 5, .random_phase = true};
    return o;
}

static inline struct eq_loader *loader_of(const struct eq_dataset *set, size_t n, const struct eq_loader_opts *o)
{
    struct eq_loader *l = NULL;
    struct eq_err err = {0};
    if (eq_loader_new(set, all, n, o, &l, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    return l;
}

#endif
