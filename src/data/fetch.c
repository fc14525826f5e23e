#include "data/fetch.h"

#include "data/augment.h"

#include <string.h>

/* A random phase differs from epoch to epoch: such clips are not kept. */
static bool is_kept(const struct eq_fetch *f)
{
    return !f->opts.augment.random_phase;
}

bool eq_fetch_init(struct eq_fetch *f, const struct eq_dataset *ds, const struct eq_loader_opts *opts, size_t n)
{
    *f = (struct eq_fetch){.ds = ds, .opts = *opts};
    bool on_disk = is_kept(f) && opts->cache_dir && opts->cache_dir[0];
    if (on_disk)
        f->store = eq_clip_store_new(opts->cache_dir, opts->cache_dir_bytes, &opts->sampling);
    return eq_clip_cache_init(&f->memory, n, is_kept(f) ? opts->cache_bytes : 0) && (f->store || !on_disk);
}

void eq_fetch_clear(struct eq_fetch *f)
{
    eq_clip_cache_clear(&f->memory);
    eq_clip_store_free(f->store);
    *f = (struct eq_fetch){0};
}

static enum eq_status decode(const struct eq_fetch *f, const char *path, double phase, uint8_t *dst,
                             struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_sampling sampling = f->opts.sampling;
    sampling.phase = phase;
    EQ_CHECK(eq_clip_read(path, &sampling, dst, info, err));
    return info->damaged && !f->opts.use_damaged ? eq_clip_refuse_damaged(path, info, err) : EQ_OK;
}

/* From the disk, or decoded and then kept there if it is whole. */
static enum eq_status read_file(struct eq_fetch *f, const char *path, double phase, uint8_t *dst, bool *gray,
                                struct eq_err *err)
{
    struct eq_clip_place place;
    struct eq_clip_info info;
    bool known = f->store && eq_clip_store_look(f->store, path, &place);
    if (known && eq_clip_store_get(f->store, &place, dst, gray))
        return EQ_OK;
    EQ_CHECK(decode(f, path, phase, dst, &info, err));
    *gray = info.gray;
    if (known && !info.damaged)
        eq_clip_store_put(f->store, path, &place, dst, info.gray);
    return EQ_OK;
}

enum eq_status eq_fetch_clip(struct eq_fetch *f, size_t position, uint32_t sample, uint32_t epoch, uint8_t *dst,
                             bool *gray, struct eq_err *err)
{
    const struct eq_loader_opts *o = &f->opts;
    size_t pixels = eq_sampling_bytes(&o->sampling) / 3;
    struct eq_augment_draw draw = eq_augment_draw(&o->augment, &o->sampling, o->seed, epoch, sample);
    if (!eq_clip_cache_get(&f->memory, position, dst, pixels, gray)) {
        EQ_CHECK(read_file(f, f->ds->samples[sample].path, draw.phase, dst, gray, err));
        eq_clip_cache_put(&f->memory, position, dst, pixels, *gray);
    }
    eq_augment_apply(&draw, dst, eq_sampling_slots(&o->sampling), o->sampling.size);
    return EQ_OK;
}
