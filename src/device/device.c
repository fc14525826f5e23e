/* Devices by name: the list of both loaders, and the opening of one. */
#include "device/apart.h"
#include "device/cache.h"

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
    if (list->n > 0)
        return;
    eq_str_add(out, "none");
    for (const char *line = list->notes.s; line && *line;) { /* in one line, as messages are */
        size_t len = strcspn(line, "\n");
        eq_str_add(out, "%s%.*s", line == list->notes.s ? ". " : "; ", (int)len, line);
        line += len + (line[len] == '\n');
    }
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

/* PoCL compiles every kernel a second time when it is asked for a program, and has a cache of its own. */
static bool keeps_programs(const struct eq_device_info *info)
{
    return strncmp(info->driver, "Portable Computing Language", 27) == 0;
}

/* The program of the cache if the driver takes it, else a new one; *fresh: then, unless the driver keeps it. */
static enum eq_status build(struct eq_device *d, const char *defines, struct eq_device_entry *e, void **fresh,
                            struct eq_err *err)
{
    size_t bytes = 0;
    *fresh = NULL;
    if (e->program_bytes) {
        struct eq_err why = {0};
        enum eq_status st = d->api->build(d->ctx, defines, e->program, e->program_bytes, NULL, NULL, &why);
        if (st == EQ_OK)
            return EQ_OK;
        if (st != EQ_FORMAT)
            return eq_fail(err, st, "%s", why.msg);
        eq_debug("%s; the kernels are built anew", why.msg);
    }
    EQ_CHECK(d->api->build(d->ctx, defines, NULL, 0, keeps_programs(&d->info) ? NULL : fresh, &bytes, err));
    e->program = *fresh;
    e->program_bytes = bytes;
    return EQ_OK;
}

/* A result that is no fault of the device, such as a lack of memory, is not kept. */
static enum eq_status check(struct eq_device *d, struct eq_device_entry *e, struct eq_str *why, struct eq_err *err)
{
    struct eq_err found = {0};
    enum eq_status st = eq_device_self_check(d, &found);
    if (st != EQ_OK && st != EQ_NUMERIC)
        return eq_fail(err, st, "self-check: %s", found.msg);
    e->check = st == EQ_OK ? EQ_DEVICE_PASSED : EQ_DEVICE_FAILED;
    if (st != EQ_OK)
        eq_str_add(why, "%s", found.msg);
    e->why = why->s;
    e->why_bytes = why->len;
    return EQ_OK;
}

static bool look_up(const char *key, struct eq_device_entry *e, void **data, char **path)
{
    return eq_device_cache_read(key, e, data, path) == EQ_ENTRY_GOOD && e->check != EQ_DEVICE_UNCHECKED;
}

static enum eq_status ready(struct eq_device *d, int index, struct eq_err *err)
{
    const char *defines = defines_of(d->info.integer_path);
    struct eq_device_entry e;
    struct eq_str key = {0}, why = {0};
    void *data = NULL, *fresh = NULL;
    char *path = NULL;
    enum eq_status st;
    eq_device_key(d->api, &d->info, defines, &key);
    bool known = look_up(key.s, &e, &data, &path), tried = false;
    if (!known) {
        eq_info("%s (%s): building and checking the kernels, once for this driver", d->info.id, d->info.name);
        EQ_TRY(eq_device_try_apart(&d->info, &tried, err));
    }
    if (tried) {
        eq_free(data);
        free(path);
        known = look_up(key.s, &e, &data, &path);
    }
    EQ_TRY(d->api->open(index, &d->info, &d->ctx, err));
    if (!known || e.check == EQ_DEVICE_PASSED)
        EQ_TRY(build(d, defines, &e, &fresh, err));
    if (!known)
        EQ_TRY(check(d, &e, &why, err));
    if (!known || fresh)
        eq_device_cache_write(path, key.s, &e);
    d->info.check = e.check;
    if (e.check == EQ_DEVICE_FAILED)
        st = eq_fail(err, EQ_UNSUPPORTED,
                     "%s (%s) is not used, because it failed the self-check: %.*s. Update its driver, or remove %s to "
                     "check it again",
                     d->info.id, d->info.name, (int)e.why_bytes, e.why, path ? path : "nothing");
out:
    eq_free(fresh);
    eq_free(data);
    free(path);
    eq_str_clear(&key);
    eq_str_clear(&why);
    return st;
}

/* *check: what is known afterwards, also of a device that is refused. */
static enum eq_status open_info(const struct eq_device_info *info, struct eq_device **out, enum eq_device_check *check,
                                struct eq_err *err)
{
    int index = 0;
    *out = NULL;
    struct eq_device *d = eq_small(NULL, sizeof *d);
    *d = (struct eq_device){.api = parse_name(info->id, &index), .info = *info};
    d->info.why = (struct eq_str){0};
    enum eq_status st = ready(d, index, err);
    *check = d->info.check;
    if (st == EQ_OK)
        *out = d;
    else
        eq_device_close(d);
    return st;
}

enum eq_status eq_device_open(const char *name, struct eq_device **out, struct eq_err *err)
{
    struct eq_device_list list;
    struct eq_str text = {0};
    enum eq_device_check check;
    *out = NULL;
    EQ_CHECK(list_all(&list, err));
    enum eq_status st;
    const struct eq_device_info *info = find(&list, name);
    if (!info) {
        add_list(&list, &text);
        st = eq_fail(err, EQ_UNSUPPORTED, "there is no device \"%s\" here; devices: %s", name, text.s);
    } else if (info->why.len) {
        st = eq_fail(err, EQ_UNSUPPORTED, "%s (%s) cannot be used: %s", info->id, info->name, info->why.s);
    } else {
        st = open_info(info, out, &check, err);
    }
    eq_str_clear(&text);
    eq_devices_clear(&list);
    return st;
}

void eq_device_try(const char *id)
{
    struct eq_device *d;
    eq_device_begin_as_child();
    if (eq_device_open(id, &d, NULL) == EQ_OK)
        eq_device_close(d);
    eq_device_end_as_child();
}

enum eq_status eq_devices_list(bool check_all, struct eq_device_list *out, struct eq_err *err)
{
    EQ_CHECK(list_all(out, err));
    for (size_t i = 0; check_all && i < out->n; i++) {
        struct eq_device_info *info = &out->devices[i];
        struct eq_device *d = NULL;
        struct eq_err why = {0};
        if (info->why.len)
            continue;
        enum eq_status st = EQ_INTERRUPTED;
        if (!eq_interrupted())
            st = open_info(info, &d, &info->check, &why);
        if (st == EQ_INTERRUPTED) {
            eq_devices_clear(out);
            return eq_fail(err, st, "interrupted while devices were checked");
        }
        if (st != EQ_OK)
            eq_str_add(&info->why, "%s", why.msg);
        eq_device_close(d);
    }
    return EQ_OK;
}

const struct eq_device_info *eq_device_info(const struct eq_device *d)
{
    return &d->info;
}

void eq_device_keep_edges(struct eq_device *d, bool on)
{
    d->keep_edges = on;
}
