/* results.json: {"format", "models": [...], "skipped": [...], ...}. This is the only place for its keys. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORMAT "echoquant-results-1"

/* ---- the keys ------------------------------------------------------------ */

enum kind {
    REAL,         /* double; infinity is written as null */
    REAL_OR_NULL, /* double; a new object has a null for NaN too */
    TEXT,
    FLAG,
    JSON,
    SELF,   /* the object itself: a new one starts as its copy, which keeps the keys that the struct lacks */
    OBJECT, /* a struct inside this one, or (at 0) members of this one */
    LIST    /* pointer to structs, and their number */
};
struct field {
    const char *key;
    enum kind kind;
    size_t at;
    const struct field *sub; /* of OBJECT and LIST */
    size_t size, count;      /* LIST: of an item, and where their number is */
};

/* clang-format off */
#define PLAIN(type, kind, key, member) {key, kind, offsetof(struct type, member), NULL, 0, 0}
#define PART(key, type, member, fields) {key, OBJECT, offsetof(struct type, member), fields, 0, 0}
#define LIST_OF(key, items, n, fields)                                                                                 \
    {key, LIST, offsetof(struct eq_results, items), fields, sizeof *((struct eq_results *)0)->items,                   \
     offsetof(struct eq_results, n)}
static const struct field latency_fields[] = {
#define MS(kind, member) PLAIN(eq_result_latency, kind, #member, member)
    MS(REAL_OR_NULL, min), MS(REAL_OR_NULL, median), MS(REAL, p90), MS(REAL_OR_NULL, p95), MS(REAL, p99),
    MS(REAL, repeats), MS(REAL, low), MS(REAL, high), MS(REAL, waited), MS(JSON, samples), {0}};
static const struct field start_fields[] = {
#define START(member) PLAIN(eq_result_start, REAL, #member, member)
    START(load), START(first_call), START(repeats), {0}};
static const struct field memory_fields[] = {
#define MEMORY(member) PLAIN(eq_result_memory, REAL, #member, member)
    MEMORY(arena), MEMORY(packed), MEMORY(peak), {0}};
static const struct field parts_fields[] = {
#define PART_MS(member) PLAIN(eq_device_times, REAL, #member, member)
    PART_MS(upload), PART_MS(compute), PART_MS(download), {0}};
static const struct field device_fields[] = {
#define DEVICE(kind, member) PLAIN(eq_result_device, kind, #member, member)
    DEVICE(SELF, json), DEVICE(TEXT, name), DEVICE(TEXT, driver), PLAIN(eq_result_device, FLAG, "gpu", is_gpu),
    DEVICE(TEXT, integer_path),
    DEVICE(REAL, clips), DEVICE(REAL, largest_difference), DEVICE(TEXT, why), DEVICE(TEXT, timed),
    PART("latency_ms", eq_result_device, latency, latency_fields),
    PART("parts_ms", eq_result_device, parts, parts_fields), PLAIN(eq_result_device, REAL, "memory_bytes", memory),
    {0}};
static const struct field spread_fields[] = {
#define SPREAD_OF(type, of)                                                                                            \
    PLAIN(type, REAL_OR_NULL, "mean", of.mean), PLAIN(type, REAL_OR_NULL, "sd", of.sd),                                \
    PLAIN(type, REAL_OR_NULL, "min", of.min), PLAIN(type, REAL_OR_NULL, "max", of.max)
    SPREAD_OF(eq_result_spread, of), PLAIN(eq_result_spread, JSON, "values", values), {0}};
static const struct field over_seeds_fields[] = {
#define OVER(key) PART(#key, eq_result, over_seeds.key, spread_fields)
    PLAIN(eq_result, REAL, "n", over_seeds.n), OVER(mae), OVER(rmse), OVER(r2), {0}};
static const struct field row_fields[] = {
#define ROW(kind, member) PLAIN(eq_result, kind, #member, member)
    ROW(SELF, json), ROW(TEXT, model), ROW(TEXT, precision), ROW(TEXT, device), ROW(REAL, size_mb), ROW(TEXT, file),
    ROW(TEXT, file_sha256), ROW(REAL, frames), ROW(REAL, size), ROW(REAL, phases), ROW(JSON, recipe),
    ROW(TEXT, method), ROW(TEXT, observer), ROW(TEXT, isa), ROW(TEXT, cpu), ROW(REAL, threads), ROW(REAL, prediction),
    ROW(TEXT, data), ROW(TEXT, predictions_sha256), ROW(REAL_OR_NULL, mae), ROW(REAL_OR_NULL, rmse),
    ROW(REAL_OR_NULL, r2), ROW(REAL, clips), ROW(REAL, bias), ROW(REAL, val_mae), ROW(REAL, val_bias),
    ROW(REAL, val_clips), ROW(REAL, rms_from_fp32), ROW(REAL, sqnr_db),
    PLAIN(eq_result, REAL, "clips_unlike_training", unlike), ROW(TEXT, timed),
    PART("latency_ms", eq_result, latency, latency_fields),
    PART("file_latency_ms", eq_result, file_latency, latency_fields),
    PART("start_ms", eq_result, start, start_fields), PART("memory_bytes", eq_result, memory, memory_fields),
    ROW(JSON, devices), {"over_seeds", OBJECT, 0, over_seeds_fields, 0, 0}, {0}};
static const struct field seed_fields[] = {
#define SEED(kind, member) PLAIN(eq_result_seed, kind, #member, member)
    SEED(SELF, json), SEED(REAL, seed), SEED(TEXT, dir), {0}};
static const struct field difference_fields[] = {
#define DIFFERENCE(kind, key, member) PLAIN(eq_result_difference, kind, key, member)
    DIFFERENCE(SELF, "", json), DIFFERENCE(TEXT, "model", model), DIFFERENCE(TEXT, "minus", minus),
    DIFFERENCE(REAL, "n", n), SPREAD_OF(eq_result_difference, mae.of), DIFFERENCE(REAL_OR_NULL, "low", mae.of.low),
    DIFFERENCE(REAL_OR_NULL, "high", mae.of.high), DIFFERENCE(JSON, "values", mae.values), {0}};
static const struct field skipped_fields[] = {
#define SKIPPED(kind, key, member) PLAIN(eq_result_skipped, kind, key, member)
    SKIPPED(SELF, "", json), SKIPPED(TEXT, "FileName", file_name), SKIPPED(TEXT, "reason", reason), {0}};
static const struct field data_fields[] = {
#define DATA(kind, member) PLAIN(eq_results, kind, #member, data.member)
    DATA(SELF, json), DATA(TEXT, dir), DATA(TEXT, digest), DATA(TEXT, file_list_sha256),
    DATA(FLAG, synthetic), DATA(REAL, train), DATA(REAL, val),
    DATA(REAL, test), DATA(REAL, skipped), DATA(REAL, damaged), DATA(FLAG, split_from_file),
    DATA(REAL, patients), DATA(REAL, patients_across_splits), DATA(REAL, copies_across_splits), {0}};
static const struct field environment_fields[] = {
#define ENVIRONMENT(kind, member) PLAIN(eq_results, kind, #member, environment.member)
    ENVIRONMENT(SELF, json), ENVIRONMENT(TEXT, version), ENVIRONMENT(TEXT, cpu), ENVIRONMENT(TEXT, isa),
    ENVIRONMENT(REAL, threads), ENVIRONMENT(TEXT, gpu), ENVIRONMENT(TEXT, system), ENVIRONMENT(TEXT, compiler),
    ENVIRONMENT(TEXT, flags),
    ENVIRONMENT(JSON, libraries), {0}};
static const struct field margin_fields[] = {
#define MARGIN(kind, member) PLAIN(eq_results, kind, #member, margin.member)
    MARGIN(SELF, json), MARGIN(REAL, points), MARGIN(TEXT, stated), MARGIN(FLAG, late), {0}};
static const struct field document_fields[] = {
    LIST_OF("models", rows, n, row_fields), LIST_OF("seeds", seeds, n_seeds, seed_fields),
    PLAIN(eq_results, REAL, "seeds_wanted", seeds_wanted),
    LIST_OF("differences", differences, n_differences, difference_fields),
    LIST_OF("skipped", skipped, n_skipped, skipped_fields), LIST_OF("damaged", damaged, n_damaged, skipped_fields),
    {"margin", OBJECT, 0, margin_fields, 0, 0}, {"data", OBJECT, 0, data_fields, 0, 0},
    {"environment", OBJECT, 0, environment_fields, 0, 0}, {0}};
/* clang-format on */

/* ---- reading ------------------------------------------------------------- */

static void read_fields(const struct field *f, struct cJSON *json, void *to)
{
    for (; f->key; f++) {
        void *at = (char *)to + f->at;
        struct cJSON *value = cJSON_GetObjectItemCaseSensitive(json, f->key);
        if (f->kind == REAL || f->kind == REAL_OR_NULL) {
            *(double *)at = eq_json_real(json, f->key);
        } else if (f->kind == TEXT) {
            *(const char **)at = eq_json_text(json, f->key);
        } else if (f->kind == FLAG) {
            *(bool *)at = cJSON_IsTrue(value);
        } else if (f->kind == JSON) {
            *(const struct cJSON **)at = value;
        } else if (f->kind == SELF) {
            *(struct cJSON **)at = cJSON_IsObject(json) ? json : NULL;
        } else if (f->kind == OBJECT) {
            read_fields(f->sub, value, at);
        } else {
            char *items = cJSON_IsArray(value) ? eq_list_grow(NULL, 0, f->size) : NULL;
            size_t n = 0;
            for (struct cJSON *item = items ? value->child : NULL; item; item = item->next, n++) {
                items = eq_list_grow(items, n, f->size);
                read_fields(f->sub, item, items + n * f->size);
            }
            memcpy(at, &items, sizeof items);
            memcpy((char *)to + f->count, &n, sizeof n);
        }
    }
}

void eq_results_init(struct eq_results *r)
{
    *r = (struct eq_results){0};
    read_fields(document_fields, NULL, r);
}

void eq_results_clear(struct eq_results *r)
{
    free(r->rows);
    free(r->seeds);
    free(r->differences);
    free(r->skipped);
    free(r->damaged);
    cJSON_Delete(r->json);
    *r = (struct eq_results){0};
}

struct eq_result eq_result_of(struct cJSON *row)
{
    struct eq_result out;
    read_fields(row_fields, row, &out);
    return out;
}

bool eq_result_device_at(const struct eq_result *row, size_t i, struct eq_result_device *out)
{
    struct cJSON *item = cJSON_IsObject(row->devices) ? row->devices->child : NULL;
    for (; item; item = item->next)
        if (cJSON_IsObject(item) && eq_device_name_ok(item->string) && i-- == 0)
            break;
    read_fields(device_fields, item, out);
    out->id = item ? item->string : "";
    return item != NULL;
}

bool eq_result_gpu(const struct eq_result *row, struct eq_result_device *out)
{
    for (size_t i = 0; eq_result_device_at(row, i, out); i++)
        if (out->is_gpu)
            return true;
    return false;
}

/* Times in ascending order. */
static bool are_samples(const struct cJSON *list)
{
    double last = 0;
    for (const struct cJSON *item = list->child; item; item = item->next) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= last) || isinf(item->valuedouble))
            return false;
        last = item->valuedouble;
    }
    return cJSON_IsArray(list);
}

static enum eq_status check_device_samples(const struct eq_result *row, const char *name, struct eq_err *err)
{
    struct eq_result_device d;
    for (size_t i = 0; eq_result_device_at(row, i, &d); i++)
        if (d.latency.samples && !are_samples(d.latency.samples))
            return eq_fail(err, EQ_FORMAT,
                           "%s: model %s, devices.%s.latency_ms.samples: not a list of times in ascending order", name,
                           row->model, d.id);
    return EQ_OK;
}

static enum eq_status check_samples(const struct eq_result *row, const char *name, struct eq_err *err)
{
    const struct {
        const char *key;
        const struct cJSON *samples;
    } lists[] = {{"latency_ms", row->latency.samples}, {"file_latency_ms", row->file_latency.samples}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].samples && !are_samples(lists[i].samples))
            return eq_fail(err, EQ_FORMAT, "%s: model %s, %s.samples: not a list of times in ascending order", name,
                           row->model, lists[i].key);
    return check_device_samples(row, name, err);
}

enum eq_status eq_results_take(struct cJSON *json, const char *name, struct eq_results *out, struct eq_err *err)
{
    *out = (struct eq_results){.json = json};
    read_fields(document_fields, json, out);
    bool ours = strcmp(eq_json_text(json, "format"), FORMAT) == 0 && out->rows;
    for (size_t i = 0; i < out->n; i++)
        ours &= out->rows[i].model[0] != '\0';
    enum eq_status st =
        ours ? EQ_OK : eq_fail(err, EQ_FORMAT, "%s is not a results file of this program (format %s)", name, FORMAT);
    for (size_t i = 0; i < out->n && st == EQ_OK; i++)
        st = check_samples(&out->rows[i], name, err);
    if (st != EQ_OK)
        eq_results_clear(out);
    return st;
}

enum eq_status eq_results_read(const char *run_dir, struct eq_results *out, struct eq_err *err)
{
    struct cJSON *json;
    char *path = eq_path_join(run_dir, "results.json");
    enum eq_status st;
    bool there;
    eq_results_init(out);
    EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        EQ_TRY(eq_fail(err, EQ_IO, "%s is missing: run `echoquant eval` first", path));
    EQ_TRY(eq_json_read(path, &json, err));
    EQ_TRY(eq_results_take(json, path, out, err));
out:
    free(path);
    return st;
}

enum eq_status eq_results_open(const char *run_dir, struct eq_results *out, struct eq_err *err)
{
    bool there;
    eq_results_init(out);
    enum eq_status st = eq_run_look(run_dir, "results", ".json", &there, err);
    return st == EQ_OK && there ? eq_results_read(run_dir, out, err) : st;
}

/* ---- writing ------------------------------------------------------------- */

static bool is_set(const struct field *f, const void *at)
{
    void *pointer;
    if (f->kind == FLAG)
        return *(const bool *)at;
    if (f->kind == REAL || f->kind == REAL_OR_NULL)
        return !isnan(*(const double *)at);
    if (f->kind == TEXT)
        return *(const char *const *)at && **(const char *const *)at;
    if (f->kind != OBJECT)
        return memcpy(&pointer, at, sizeof pointer), pointer != NULL;
    for (f = f->sub; f->key && !is_set(f, (const char *)at + f->at); f++)
        ;
    return f->key != NULL;
}

/* Replaces a key in its place, so that a rewritten file keeps its order; value NULL removes it. Returns value, or NULL
 * as eq_json_add does. */
static struct cJSON *put(struct cJSON *json, const char *key, struct cJSON *value)
{
    if (!cJSON_GetObjectItemCaseSensitive(json, key))
        return eq_json_add(json, key, value);
    if (!value)
        cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    else if (!cJSON_ReplaceItemInObjectCaseSensitive(json, key, value)) {
        cJSON_Delete(value);
        return NULL;
    }
    return value;
}

static void write_fields(const struct field *f, const void *from, struct cJSON *json);

void eq_result_device_put(struct cJSON *devices, const struct eq_result_device *device)
{
    struct cJSON *item = cJSON_CreateObject();
    write_fields(device_fields, device, item); /* device may be of the item that goes */
    put(devices, device->id, item);
}

static struct cJSON *list_of(const struct field *f, const void *from)
{
    struct cJSON *array = cJSON_CreateArray();
    const char *items;
    size_t n;
    memcpy(&items, (const char *)from + f->at, sizeof items);
    memcpy(&n, (const char *)from + f->count, sizeof n);
    for (size_t i = 0; i < n; i++) {
        struct cJSON *item = eq_json_add(array, NULL, cJSON_CreateObject());
        write_fields(f->sub, items + i * f->size, item);
    }
    return array;
}

/* Updates json from the struct. Where the struct has no value, a null or a key of another kind stays. json is NULL
 * after a failed allocation, which eq_json_check reports when the document is written. */
static void write_fields(const struct field *f, const void *from, struct cJSON *json)
{
    bool fresh = json && !json->child;
    for (; json && f->key; f++) {
        const void *at = (const char *)from + f->at;
        struct cJSON *old = cJSON_GetObjectItemCaseSensitive(json, f->key);
        bool set = is_set(f, at);
        if (f->kind == SELF) {
            for (old = set && fresh ? (*(struct cJSON *const *)at)->child : NULL; old; old = old->next, fresh = false)
                eq_json_add(json, old->string, cJSON_Duplicate(old, true));
        } else if (f->kind == FLAG) {
            if (fresh || set != cJSON_IsTrue(old))
                put(json, f->key, cJSON_CreateBool(set));
        } else if (f->kind == OBJECT && set) {
            if (!cJSON_IsObject(old))
                old = put(json, f->key, cJSON_CreateObject());
            write_fields(f->sub, at, old);
        } else if (set) {
            put(json, f->key,
                f->kind == LIST   ? list_of(f, from)
                : f->kind == TEXT ? cJSON_CreateString(*(const char *const *)at)
                : f->kind == JSON ? cJSON_Duplicate(*(struct cJSON *const *)at, true)
                                  : eq_json_new_real(*(const double *)at));
        } else if (f->kind == REAL_OR_NULL && (fresh || cJSON_IsNumber(old))) {
            put(json, f->key, cJSON_CreateNull());
        } else if (f->kind == TEXT ? cJSON_IsString(old) && *old->valuestring
                                   : f->kind == REAL && cJSON_IsNumber(old)) {
            put(json, f->key, NULL);
        }
    }
}

struct cJSON *eq_results_json(const struct eq_results *r)
{
    struct cJSON *json = r->json ? cJSON_Duplicate(r->json, true) : cJSON_CreateObject();
    if (!r->json) {
        cJSON_AddStringToObject(json, "format", FORMAT);
        cJSON_AddArrayToObject(json, "models");
    }
    write_fields(document_fields, r, json);
    cJSON_DeleteItemFromObjectCaseSensitive(json, EQ_SEAL_KEY);
    return json;
}

enum eq_status eq_results_write(const char *run_dir, const struct eq_results *r, struct eq_err *err)
{
    struct cJSON *json = eq_results_json(r);
    char *path = eq_path_join(run_dir, "results.json");
    enum eq_status st = eq_sealed_write(path, json, err);
    cJSON_Delete(json);
    free(path);
    return st;
}

/* ---- rows ---------------------------------------------------------------- */

/* Row order: the table of models, then other models in order of evaluation, then Median. */
static int rank(const char *row)
{
    const struct eq_run_model *m = eq_run_model_of_row(row);
    return m ? (int)(m - eq_run_models) : strcmp(row, EQ_MEDIAN_ROW) == 0 ? INT_MAX : INT_MAX - 1;
}

const struct eq_result *eq_results_find(const struct eq_results *r, const char *row)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->rows[i].model, row) == 0)
            return &r->rows[i];
    return NULL;
}

const struct eq_result *eq_results_find_model(const struct eq_results *r, const char *name)
{
    char row[EQ_ROW_NAME];
    eq_run_row_name(name, row);
    return eq_results_find(r, row);
}

static void remove_row(struct eq_results *r, const char *row)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->rows[i].model, row) != 0)
            r->rows[kept++] = r->rows[i];
    r->n = kept;
}

void eq_results_put(struct eq_results *r, const struct eq_result *row)
{
    remove_row(r, row->model);
    size_t at = r->n;
    r->rows = eq_list_grow(r->rows, r->n++, sizeof *r->rows);
    for (; at > 0 && rank(r->rows[at - 1].model) > rank(row->model); at--)
        r->rows[at] = r->rows[at - 1];
    r->rows[at] = *row;
}

void eq_results_set_environment(struct eq_results *r, struct cJSON *environment)
{
    struct cJSON *was = r->environment.json;
    read_fields(environment_fields, environment, r);
    r->environment.json = was; /* the object in the document */
}

size_t eq_results_keep_data(struct eq_results *r, struct eq_str *names)
{
    const char *digest = r->data.digest;
    size_t kept = 0, n = r->n;
    for (size_t i = 0; i < n; i++) {
        const struct eq_result *row = &r->rows[i];
        if (!*digest || !*row->data || strcmp(row->data, digest) == 0)
            r->rows[kept++] = *row;
        else
            eq_str_add(names, "%s%s", names->len ? ", " : "", row->model);
    }
    r->n = kept;
    return n - kept;
}

void eq_time_text(char out[EQ_TIME_TEXT])
{
    time_t now = time(NULL);
    struct tm utc;
    strftime(out, EQ_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
}

enum eq_status eq_results_state_margin(const char *run_dir, double points, struct eq_err *err)
{
    struct eq_results r;
    char now[EQ_TIME_TEXT];
    enum eq_status st = eq_results_open(run_dir, &r, err);
    if (st == EQ_OK && isnan(r.margin.points)) {
        eq_time_text(now);
        r.margin.points = points;
        r.margin.stated = now;
        r.margin.late = r.n > 0;
        st = eq_results_write(run_dir, &r, err);
    }
    eq_results_clear(&r);
    return st;
}

enum eq_status eq_results_drop_model(const char *run_dir, const char *row, struct eq_err *err)
{
    struct eq_results r;
    enum eq_status st = eq_results_open(run_dir, &r, err);
    if (st == EQ_OK && eq_results_find(&r, row)) {
        remove_row(&r, row);
        st = eq_results_write(run_dir, &r, err);
    }
    eq_results_clear(&r);
    return st;
}

static struct eq_result_skipped *list_clips(const struct eq_skipped *clips, size_t n)
{
    struct eq_result_skipped *list = eq_list_grow(NULL, n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = (struct eq_result_skipped){NULL, clips[i].file_name, clips[i].reason};
    return list;
}

void eq_results_set_skipped(struct eq_results *r, const struct eq_dataset *ds)
{
    free(r->skipped);
    free(r->damaged);
    r->skipped = list_clips(ds->skipped, ds->n_skipped);
    r->n_skipped = ds->n_skipped;
    r->damaged = list_clips(ds->damaged, ds->n_damaged);
    r->n_damaged = ds->n_damaged;
}
