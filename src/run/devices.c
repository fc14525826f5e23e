/* The devices beside the CPU that an evaluation uses. */
#include "echoquant/run.h"

#include <stdlib.h>
#include <string.h>

#define AUTO "auto"

/* Calls fn for each name of eval.devices. */
static enum eq_status for_names(const struct eq_config *cfg, void *ctx,
                                enum eq_status (*fn)(void *ctx, const char *name, struct eq_err *err),
                                struct eq_err *err)
{
    const char *text = cfg->eval.devices;
    enum eq_status st = EQ_OK;
    for (size_t len; *text && st == EQ_OK; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        char *name = eq_format("%.*s", (int)len, text);
        st = fn(ctx, name, err);
        free(name);
    }
    return st;
}

static enum eq_status check_name(void *ctx, const char *name, struct eq_err *err)
{
    (void)ctx;
    if (strcmp(name, AUTO) == 0 || eq_device_name_ok(name))
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "eval.devices: \"%.40s\" names no device: write auto, or names such as cpu, gpu, opencl:0, cuda:0, "
                   "separated by commas",
                   name);
}

enum eq_status eq_run_devices_check(const struct eq_config *cfg, struct eq_err *err)
{
    if (!eq_device_name_ok(cfg->run.device))
        return eq_fail(err, EQ_USAGE,
                       "--device (run.device): \"%.40s\" names no device: write cpu, gpu, opencl:N, or cuda:N, as "
                       "`echoquant devices` lists them",
                       cfg->run.device);
    return for_names(cfg, NULL, check_name, err);
}

/* ---- opening --------------------------------------------------------------- */

/* Takes d over. Returns the one of its id that is in the list. */
static struct eq_device *add(struct eq_run_devices *all, struct eq_device *d, bool is_named)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(eq_device_info(all->list[i].device)->id, eq_device_info(d)->id) == 0) {
            eq_device_close(d);
            return all->list[i].device;
        }
    all->list = eq_list_grow(all->list, all->n, sizeof *all->list);
    all->list[all->n++] = (struct eq_run_device){d, is_named};
    return d;
}

/* Lines as one line. */
static void set_reason(struct eq_str *out, const char *what, const char *lines)
{
    out->len = 0;
    eq_str_add(out, "%s (", what);
    for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
        len = strcspn(lines, "\n");
        if (len)
            eq_str_add(out, "%s%.*s", out->s[out->len - 1] == '(' ? "" : "; ", (int)len, lines);
    }
    eq_str_add(out, ")");
}

static bool has_gpu(const struct eq_run_devices *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (eq_device_info(all->list[i].device)->is_gpu)
            return true;
    return false;
}

/* The first GPU, if there is one. */
static enum eq_status add_auto(struct eq_run_devices *all, struct eq_err *err)
{
    struct eq_device_list there = {0};
    struct eq_device *d = NULL;
    struct eq_err why;
    bool any = false;
    if (has_gpu(all))
        return EQ_OK;
    enum eq_status st = eq_devices_list(false, &there, err);
    for (size_t i = 0; i < there.n && st == EQ_OK; i++)
        any |= there.devices[i].is_gpu;
    if (st == EQ_OK && !any)
        set_reason(&all->gpu, "none found", there.notes.s ? there.notes.s : "");
    eq_devices_clear(&there);
    if (st != EQ_OK || !any)
        return st;
    st = eq_device_open("gpu", &d, &why);
    if (st == EQ_OK)
        add(all, d, false);
    else if (st == EQ_NOMEM || st == EQ_INTERRUPTED)
        return eq_fail(err, st, "%s", why.msg);
    else {
        eq_warn("no latency on a GPU: %s", why.msg);
        set_reason(&all->gpu, "none that can be used", why.msg);
    }
    return EQ_OK;
}

static enum eq_status add_name(void *ctx, const char *name, struct eq_err *err)
{
    struct eq_device *d;
    if (strcmp(name, "cpu") == 0)
        return EQ_OK;
    if (strcmp(name, AUTO) == 0)
        return add_auto(ctx, err);
    enum eq_status st = eq_device_open(name, &d, err);
    if (st != EQ_OK)
        eq_err_context(err, "eval.devices");
    else
        add(ctx, d, true);
    return st;
}

static void describe_gpu(struct eq_run_devices *all, const char *asked)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct eq_device_info *d = eq_device_info(all->list[i].device);
        if (!d->is_gpu)
            continue;
        all->gpu.len = 0;
        eq_str_add(&all->gpu, "%s (%s), %s", d->name, d->id, d->driver);
        return;
    }
    if (!all->gpu.len)
        eq_str_add(&all->gpu, "none asked for (eval.devices = %s)", *asked ? asked : "\"\"");
}

enum eq_status eq_run_devices_open(const struct eq_config *cfg, struct eq_run_devices *out, struct eq_err *err)
{
    struct eq_device *d;
    *out = (struct eq_run_devices){0};
    if (strcmp(cfg->run.device, "cpu") != 0) {
        EQ_CHECK(eq_device_open(cfg->run.device, &d, err));
        out->predicts = add(out, d, true);
    }
    EQ_CHECK(for_names(cfg, out, add_name, err));
    describe_gpu(out, cfg->eval.devices);
    return EQ_OK;
}

void eq_run_devices_close(struct eq_run_devices *d)
{
    for (size_t i = 0; i < d->n; i++)
        eq_device_close(d->list[i].device);
    free(d->list);
    eq_str_clear(&d->gpu);
    *d = (struct eq_run_devices){0};
}
