/* Devices by name: the list of both loaders, and the opening of one. */
#include "device/api.h"

#include <stdlib.h>
#include <string.h>

static const struct eq_device_api *const loaders[] = {&eq_device_cuda, &eq_device_opencl};
enum { LOADERS = sizeof loaders / sizeof *loaders };

/* What the text is built with, by how the device multiplies integers. */
static const char *defines_of(const char *integer_path)
{
    static const struct {
        const char *path, *defines;
    } rows[] = {{"mma.m16n8k32", "-DEQ_PATH_MMA16"}, {"mma.m8n8k16", "-DEQ_PATH_MMA8"},
                {"dp4a", "-DEQ_PATH_DP4A"},          {"dot", "-DEQ_PATH_DOT"},
                {"sdot4", "-DEQ_PATH_SDOT4"},        {"plain", "-DEQ_PATH_PLAIN"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].path, integer_path) == 0)
            return rows[i].defines;
    return "-DEQ_PATH_PLAIN";
}

/* ---- names ----------------------------------------------------------------- */

/* The loader of a name such as "opencl:1", and the index; NULL: it is not such a name. */
static const struct eq_device_api *parse_name(const char *text, int *index)
{
    for (size_t i = 0; i < LOADERS; i++) {
        size_t n = strlen(loaders[i]->name);
        int64_t number = 0;
        if (strncmp(text, loaders[i]->name, n) != 0)
            continue;
        bool plain = text[n] == '\0';
        if (!plain && (text[n] != ':' || strspn(text + n + 1, "0123456789") != strlen(text + n + 1) ||
                       !eq_parse_int64(text + n + 1, &number) || number > 9999))
            continue;
        *index = (int)number;
        return loaders[i];
    }
    return NULL;
}

bool eq_device_name_ok(const char *text)
{
    int index;
    return strcmp(text, "cpu") == 0 || strcmp(text, "gpu") == 0 || parse_name(text, &index);
}

/* ---- the list --------------------------------------------------------------- */

void eq_devices_clear(struct eq_device_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        eq_str_clear(&list->devices[i].why);
    free(list->devices);
    eq_str_clear(&list->notes);
    *list = (struct eq_device_list){0};
}

static enum eq_status list_all(struct eq_device_list *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *out = (struct eq_device_list){0};
    for (size_t i = 0; i < LOADERS && st == EQ_OK; i++)
        st = loaders[i]->list(out, err);
    if (st != EQ_OK)
        eq_devices_clear(out);
    return st;
}

enum eq_status eq_devices_list(bool check, struct eq_device_list *out, struct eq_err *err)
{
    EQ_CHECK(list_all(out, err));
    for (size_t i = 0; check && i < out->n; i++) {
        struct eq_device_info *info = &out->devices[i];
        struct eq_device *d;
        struct eq_err why = {0};
        if (info->why.len)
            continue;
        enum eq_status st = eq_device_open(info->id, &d, &why);
        if (st == EQ_INTERRUPTED || st == EQ_NOMEM) {
            eq_devices_clear(out);
            return eq_fail(err, st, "%s", why.msg);
        }
        info->check = st == EQ_OK ? EQ_DEVICE_PASSED : st == EQ_NUMERIC ? EQ_DEVICE_FAILED : EQ_DEVICE_UNCHECKED;
        if (st != EQ_OK)
            eq_str_add(&info->why, "%s", why.msg);
        eq_device_close(d);
    }
    return EQ_OK;
}

/* ---- open and close ----------------------------------------------------------- */

/* "cuda:0 (Tesla T4), opencl:0 (...)", and why some cannot be used. */
static void add_list(const struct eq_device_list *list, struct eq_str *out)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct eq_device_info *info = &list->devices[i];
        eq_str_add(out, "%s%s (%s%s%s)", i ? ", " : "", info->id, info->name, info->why.len ? ": " : "",
                   info->why.len  ? info->why.s
                   : info->is_gpu ? ""
                                  : ", no GPU");
    }
    if (list->n == 0)
        eq_str_add(out, "none. %s", list->notes.s);
    while (out->len && out->s[out->len - 1] == '\n')
        out->s[--out->len] = '\0';
}

static const struct eq_device_info *find(const struct eq_device_list *list, const char *name)
{
    int index = 0;
    char id[32];
    const struct eq_device_api *api = parse_name(name, &index);
    if (api)
        snprintf(id, sizeof id, "%s:%d", api->name, index);
    for (size_t i = 0; i < list->n; i++) {
        const struct eq_device_info *info = &list->devices[i];
        if (api ? strcmp(info->id, id) == 0 : info->is_gpu && !info->why.len)
            return info;
    }
    return NULL;
}

void eq_device_close(struct eq_device *d)
{
    if (!d)
        return;
    if (d->ctx)
        d->api->close(d->ctx);
    eq_str_clear(&d->info.why);
    free(d);
}

static enum eq_status ready(struct eq_device *d, int index, struct eq_err *err)
{
    void *program;
    size_t bytes;
    EQ_CHECK(d->api->open(index, &d->info, &d->ctx, err));
    EQ_CHECK(d->api->build(d->ctx, defines_of(d->info.integer_path), NULL, 0, &program, &bytes, err));
    eq_free(program);
    EQ_CHECK(eq_device_self_check(d, err));
    d->info.check = EQ_DEVICE_PASSED;
    return EQ_OK;
}

enum eq_status eq_device_open(const char *name, struct eq_device **out, struct eq_err *err)
{
    struct eq_device_list list;
    struct eq_str text = {0};
    int index = 0;
    *out = NULL;
    EQ_CHECK(list_all(&list, err));
    enum eq_status st = EQ_OK;
    const struct eq_device_info *info = find(&list, name);
    if (!info) {
        add_list(&list, &text);
        st = eq_fail(err, EQ_UNSUPPORTED, "there is no device \"%s\" here; devices: %s", name, text.s);
    } else if (info->why.len) {
        st = eq_fail(err, EQ_UNSUPPORTED, "%s (%s) cannot be used: %s", info->id, info->name, info->why.s);
    } else {
        struct eq_device *d = eq_small(NULL, sizeof *d);
        *d = (struct eq_device){.api = parse_name(info->id, &index), .info = *info};
        d->info.why = (struct eq_str){0};
        st = ready(d, index, err);
        if (st == EQ_OK)
            *out = d;
        else
            eq_device_close(d);
    }
    eq_str_clear(&text);
    eq_devices_clear(&list);
    return st;
}

const struct eq_device_info *eq_device_info(const struct eq_device *d)
{
    return &d->info;
}

void eq_device_keep_edges(struct eq_device *d, bool on)
{
    d->keep_edges = on;
}
