#include "cmd/cmd.h"
#include "echoquant/make.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static enum eq_status read_crop(const struct eq_options *o, enum eq_crop *out, struct eq_err *err)
{
    for (int i = 0; i < EQ_CROP_COUNT; i++) {
        if (o->crop && strcmp(o->crop, eq_crop_names[i]) != 0)
            continue;
        *out = i;
        return EQ_OK;
    }
    return eq_fail(err, EQ_USAGE, "--crop %s: must be cone, region, or none", o->crop);
}

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    enum eq_crop crop = EQ_CROP_CONE;
    if (!o->out)
        return eq_fail(err, EQ_USAGE, "import needs a folder to write into: --out DIR");
    EQ_CHECK(read_crop(o, &crop, err));
    if (o->no_mask && crop != EQ_CROP_CONE)
        return eq_fail(err, EQ_USAGE, "--no-mask needs --crop cone; the other crops have no mask");
    return EQ_OK;
}

/* The files that gave no clip: each failure, and how many were left out for which reason. */
static void log_rest(const struct eq_import_result *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_import_item *item = &r->items[i];
        if (item->state == EQ_IMPORT_FAILED)
            eq_warn("%s: %s", item->source, item->reason);
        if (item->state != EQ_IMPORT_SKIPPED)
            continue;
        size_t same = 0;
        bool first = true;
        for (size_t k = 0; k < r->n; k++) {
            if (r->items[k].state != EQ_IMPORT_SKIPPED || strcmp(r->items[k].reason, item->reason) != 0)
                continue;
            first &= k >= i;
            same++;
        }
        if (first && same > 1)
            eq_info("%zu files skipped: %s", same, item->reason);
        else if (first)
            eq_info("%s skipped: %s", item->source, item->reason);
    }
}

static void log_summary(const struct eq_import_result *r, const char *out)
{
    size_t clips = r->count[EQ_IMPORT_WRITTEN] + r->count[EQ_IMPORT_KEPT], no_rate = 0;
    for (size_t i = 0; i < r->n; i++)
        no_rate +=
            (r->items[i].state == EQ_IMPORT_WRITTEN || r->items[i].state == EQ_IMPORT_KEPT) && r->items[i].fps <= 0;
    if (no_rate)
        eq_warn("the tags of %zu clip%s have no frame rate; %s written with 30 frames a second", no_rate,
                no_rate == 1 ? "" : "s", no_rate == 1 ? "it was" : "they were");
    if (clips && r->without_ef)
        eq_warn("%zu of %zu clips have no EF: fill in the column EF of %s/FileList.csv", r->without_ef, clips, out);
}

/* Which clip is which file: it is printed, never stored, since a file's name can name a patient. */
static void print_text(const struct eq_import_result *r)
{
    struct eq_str text = {0};
    eq_str_add(&text, "FileName,Source\n");
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_import_item *item = &r->items[i];
        if (item->state != EQ_IMPORT_WRITTEN && item->state != EQ_IMPORT_KEPT)
            continue;
        eq_str_add(&text, "%s,\"", item->name);
        for (const char *c = item->source; *c; c++)
            eq_str_add(&text, *c == '"' ? "\"\"" : "%c", *c);
        eq_str_add(&text, "\"\n");
    }
    eq_print_data(text.s);
    eq_str_clear(&text);
}

static enum eq_status print_json(const struct eq_import_result *r, const char *out, struct eq_err *err)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "out", out);
    for (int i = 0; i < EQ_IMPORT_STATES; i++)
        cJSON_AddNumberToObject(o, eq_import_state_names[i], (double)r->count[i]);
    cJSON_AddNumberToObject(o, "without_ef", (double)r->without_ef);
    struct cJSON *files = eq_json_add(o, "files", cJSON_CreateArray());
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_import_item *item = &r->items[i];
        struct cJSON *f = eq_json_add(files, NULL, cJSON_CreateObject());
        cJSON_AddStringToObject(f, "source", item->source);
        cJSON_AddStringToObject(f, "state", eq_import_state_names[item->state]);
        if (item->reason) {
            cJSON_AddStringToObject(f, "reason", item->reason);
            continue;
        }
        cJSON_AddStringToObject(f, "clip", item->name);
        cJSON_AddNumberToObject(f, "frames", item->frames);
        eq_json_add_real(f, "fps", item->fps > 0 ? item->fps : (double)NAN);
        cJSON_AddBoolToObject(f, "has_ef", item->has_ef);
    }
    enum eq_status st = eq_print_json(o, err);
    cJSON_Delete(o);
    return st;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct eq_import_opts opts = {.paths = (const char *const *)o->args,
                                  .n_paths = (size_t)o->n_args,
                                  .out = o->out,
                                  .labels = o->labels,
                                  .mask = !o->no_mask,
                                  .pictures = o->pictures,
                                  .size = s->cfg->data.size};
    struct eq_import_result result;
    EQ_CHECK(read_crop(o, &opts.crop, err));
    enum eq_status st = eq_import_dicom(&opts, &result, err);
    log_rest(&result);
    if (st == EQ_OK) {
        log_summary(&result, o->out);
        if (o->json)
            st = print_json(&result, o->out, err);
        else
            print_text(&result);
    }
    if (st == EQ_OK && result.count[EQ_IMPORT_FAILED])
        st = eq_fail(err, EQ_FORMAT, "%zu of %zu files failed; the other clips are in %s",
                     result.count[EQ_IMPORT_FAILED], result.n, o->out);
    eq_import_result_clear(&result);
    return st;
}

const struct eq_command eq_cmd_import = {
    .name = "import",
    .summary = "write a data folder from DICOM files",
    .arguments = "FILE|FOLDER...",
    .about = "Writes a data folder from DICOM files: Videos/*.avi (MJPEG, gray, square) and FileList.csv. "
             "It searches all subfolders for ultrasound clips. Other files, single pictures, and copies "
             "are skipped and counted. By default, the picture is cut to the square around the ultrasound "
             "sector, and everything outside the sector is black.\n\n"
             "Clips are named by a hash of their files. No name, date, or identifier from a file is "
             "printed or stored, but text inside the sector stays in the pictures. Look at them before you "
             "pass them on. The command prints which clip came from which file, but does not store it.\n\n"
             "EFs come from --labels. Where they are missing, fill in the column EF of FileList.csv. Run "
             "the same command again to resume an interrupted import. Existing files are never "
             "overwritten. docs/DICOM.md has more.\n",
    .example = "/media/cdrom --labels ef.csv --out data/clinic",
    .options = EQ_OPT_SETTINGS | EQ_OPT_IMPORT | EQ_OPT_JSON | EQ_OPT_COMPUTE,
    .min_args = 1,
    .max_args = 100000,
    .check = check,
    .sections = (const char *const[]){"data.size", "run.threads", NULL},
    .run = run,
};
