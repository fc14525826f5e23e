/* Description of a data folder: its list, what the check of its clips found, and a contact sheet. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

enum { NAMES_SHOWN = 6 };

static enum eq_status describe_split(const struct eq_dataset *ds, enum eq_split split, struct cJSON *splits,
                                     struct eq_err *err)
{
    struct cJSON *o = cJSON_CreateObject();
    uint32_t *index = NULL;
    size_t n = eq_dataset_split(ds, split, &index);
    double *ef = eq_alloc(n + 1, sizeof *ef);
    if (!index || !ef) {
        cJSON_Delete(o);
        free(index);
        eq_free(ef);
        return eq_fail(err, EQ_NOMEM, "out of memory for the list of clips");
    }
    for (size_t i = 0; i < n; i++)
        ef[i] = ds->samples[index[i]].ef;
    cJSON_AddNumberToObject(o, "clips", (double)n);
    if (n) {
        double median = eq_median_of(ef, n); /* sorts */
        cJSON_AddNumberToObject(o, "ef_min", ef[0]);
        cJSON_AddNumberToObject(o, "ef_median", median);
        cJSON_AddNumberToObject(o, "ef_max", ef[n - 1]);
    }
    eq_json_add(splits, eq_split_name(split), o);
    free(index);
    eq_free(ef);
    return EQ_OK;
}

/* [smallest, largest] of a number of the clips that can be used. */
static void add_range(struct cJSON *o, const char *key, const struct eq_data_check *c,
                      double (*value_of)(const struct eq_checked_clip *))
{
    double lo = 0, hi = 0;
    bool any = false;
    for (size_t i = 0; i < c->n; i++) {
        if (c->clips[i].fault)
            continue;
        double value = value_of(&c->clips[i]);
        lo = any && lo < value ? lo : value;
        hi = any && hi > value ? hi : value;
        any = true;
    }
    struct cJSON *range = cJSON_AddArrayToObject(o, key);
    eq_json_add(range, NULL, eq_json_new_real(lo));
    eq_json_add(range, NULL, eq_json_new_real(hi));
}

static double width_of(const struct eq_checked_clip *c)
{
    return c->width;
}

static double height_of(const struct eq_checked_clip *c)
{
    return c->height;
}

static double count_of(const struct eq_checked_clip *c)
{
    return c->frames;
}

static double rate_of(const struct eq_checked_clip *c)
{
    return c->fps;
}

static void add_unusable(struct cJSON *list, const char *name, const char *reason)
{
    struct cJSON *o = eq_json_add(list, NULL, cJSON_CreateObject());
    cJSON_AddStringToObject(o, "FileName", name);
    cJSON_AddStringToObject(o, "reason", reason);
}

static enum eq_status describe(const struct eq_dataset *ds, const struct eq_data_check *check, struct cJSON *o,
                               struct eq_err *err)
{
    bool synthetic;
    EQ_CHECK(eq_run_data_is_synthetic(ds->dir, &synthetic, err));
    cJSON_AddStringToObject(o, "path", ds->dir);
    cJSON_AddBoolToObject(o, "list", ds->has_list);
    cJSON_AddBoolToObject(o, "synthetic", synthetic);
    cJSON_AddNumberToObject(o, "clips", (double)ds->n);
    cJSON_AddNumberToObject(o, "usable", (double)check->good);
    cJSON_AddBoolToObject(o, "split_from_file", ds->split_from_file);
    cJSON_AddNumberToObject(o, "patients", (double)ds->n_patients);
    struct cJSON *splits = cJSON_AddObjectToObject(o, "splits");
    for (int s = 0; s < EQ_SPLIT_COUNT && ds->has_list; s++)
        EQ_CHECK(describe_split(ds, (enum eq_split)s, splits, err));
    struct cJSON *frames = cJSON_AddObjectToObject(o, "frames");
    add_range(frames, "width", check, width_of);
    add_range(frames, "height", check, height_of);
    add_range(frames, "count", check, count_of);
    add_range(frames, "fps", check, rate_of);
    struct cJSON *skipped = cJSON_AddArrayToObject(o, "skipped");
    for (size_t i = 0; i < ds->n_skipped; i++)
        add_unusable(skipped, ds->skipped[i].file_name, ds->skipped[i].reason);
    for (size_t i = 0; i < check->n; i++)
        if (check->clips[i].fault)
            add_unusable(skipped, ds->samples[i].file_name, check->clips[i].fault);
    eq_json_add(o, "findings", eq_data_check_json(check));
    return eq_json_check(err);
}

/* ---- text ---- */

static void add_range_text(struct eq_str *out, const struct cJSON *frames, const char *key, const char *unit)
{
    const struct cJSON *range = cJSON_GetObjectItemCaseSensitive(frames, key);
    double lo = cJSON_GetNumberValue(cJSON_GetArrayItem(range, 0)),
           hi = cJSON_GetNumberValue(cJSON_GetArrayItem(range, 1));
    eq_str_add(out, "%.4g", lo);
    if (lo != hi)
        eq_str_add(out, " .. %.4g", hi);
    eq_str_add(out, "%s", unit);
}

static void add_findings(struct eq_str *out, const struct eq_data_check *c, bool problems)
{
    int width = eq_help_width();
    bool first = true;
    for (int k = 0; k < EQ_FINDING_COUNT; k++) {
        enum eq_finding_kind kind = (enum eq_finding_kind)k;
        struct eq_str line = {0};
        if (eq_finding_is_problem(kind) != problems || eq_data_check_count(c, kind) == 0)
            continue;
        eq_data_check_line(c, kind, NAMES_SHOWN, &line);
        if (eq_data_check_count(c, kind) > NAMES_SHOWN)
            eq_str_add(&line, " (--json lists all)");
        eq_str_add(out, "%s", first ? problems ? "Problems\n" : "Warnings\n" : "");
        first = false;
        eq_str_add(out, "  ");
        eq_str_add_wrapped(out, line.s, 2, width);
        eq_str_add(out, "    ");
        eq_str_add_wrapped(out, eq_finding_remedy(kind), 4, width);
        eq_str_clear(&line);
    }
}

static void print_text(const struct eq_dataset *ds, const struct eq_data_check *check, const struct cJSON *o)
{
    struct eq_str out = {0};
    const struct cJSON *split, *frames = cJSON_GetObjectItemCaseSensitive(o, "frames");
    eq_str_add_shown(&out, ds->dir);
    bool synthetic = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "synthetic"));
    eq_str_add(&out, ": %s data folder, %zu clip%s, %s\n", synthetic ? "synthetic" : "real", ds->n,
               eq_plural((double)ds->n),
               !ds->has_list         ? "no FileList.csv"
               : ds->split_from_file ? "split by FileList.csv"
               : ds->n_patients      ? "split drawn by patient (70/15/15)"
                                     : "split drawn by file name (70/15/15)");
    if (ds->n_patients)
        eq_str_add(&out, "  %zu patient%s\n", ds->n_patients, eq_plural((double)ds->n_patients));
    cJSON_ArrayForEach(split, cJSON_GetObjectItemCaseSensitive(o, "splits"))
    {
        double clips = eq_json_real(split, "clips");
        eq_str_add(&out, "  %-6s %6.0f clip%s", split->string, clips, eq_plural(clips));
        if (cJSON_HasObjectItem(split, "ef_median"))
            eq_str_add(&out, ", EF %.1f .. %.1f, median %.1f %%", eq_json_real(split, "ef_min"),
                       eq_json_real(split, "ef_max"), eq_json_real(split, "ef_median"));
        eq_str_add(&out, "\n");
    }
    if (check->good) {
        eq_str_add(&out, "  frames ");
        add_range_text(&out, frames, "width", " x ");
        add_range_text(&out, frames, "height", " pixels, ");
        add_range_text(&out, frames, "count", " a clip, ");
        add_range_text(&out, frames, "fps", " a second\n");
    }
    size_t all = ds->n + ds->n_skipped;
    if (check->good == all)
        eq_str_add(&out, "  every clip can be read\n");
    else
        eq_str_add(&out, "  %zu of %zu clip%s cannot be used\n", all - check->good, all, eq_plural((double)all));
    add_findings(&out, check, true);
    add_findings(&out, check, false);
    eq_print_text(out.s);
    eq_str_clear(&out);
}

/* ---- the contact sheet ---- */

static void describe_sheet(const struct eq_contact_sheet *sheet, const char *path, const struct eq_dataset *ds,
                           const struct eq_data_check *check, struct cJSON *o)
{
    struct cJSON *s = cJSON_AddObjectToObject(o, "contact_sheet");
    cJSON_AddStringToObject(s, "path", path);
    struct cJSON *tiles = cJSON_AddArrayToObject(s, "tiles");
    for (size_t i = 0; i < sheet->n; i++) {
        const struct eq_sheet_tile *t = &sheet->tiles[i];
        struct cJSON *tile = eq_json_add(tiles, NULL, cJSON_CreateObject());
        cJSON_AddNumberToObject(tile, "row", t->row + 1);
        cJSON_AddNumberToObject(tile, "column", t->column + 1);
        cJSON_AddStringToObject(tile, "FileName", ds->samples[t->sample].file_name);
        if (ds->has_list)
            cJSON_AddStringToObject(tile, "split", eq_split_name(ds->samples[t->sample].split));
        cJSON_AddBoolToObject(tile, "problem", check->clips[t->sample].fault != NULL);
    }
}

static void print_sheet(const struct cJSON *o)
{
    const struct cJSON *tile, *sheet = cJSON_GetObjectItemCaseSensitive(o, "contact_sheet");
    struct eq_str line = {0};
    eq_print_row("%s: middle frames of %d clips; a red frame marks clips that cannot be used",
                 eq_json_text(sheet, "path"), cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(sheet, "tiles")));
    cJSON_ArrayForEach(tile, cJSON_GetObjectItemCaseSensitive(sheet, "tiles"))
    {
        bool first = eq_json_real(tile, "column") == 1, last = !tile->next || eq_json_real(tile->next, "column") == 1;
        const char *band = eq_json_flag(tile, "problem") ? "cannot be used" : eq_json_text(tile, "split");
        if (first && band[0])
            eq_str_add(&line, "  row %.0f (%s): ", eq_json_real(tile, "row"), band);
        else if (first)
            eq_str_add(&line, "  row %.0f: ", eq_json_real(tile, "row"));
        eq_str_add(&line, "%s%s", first ? "" : ", ", eq_json_text(tile, "FileName"));
        if (last) {
            eq_print_row("%s", line.s);
            line.len = 0;
        }
    }
    eq_str_clear(&line);
}

static enum eq_status draw_sheet(const char *path, const struct eq_dataset *ds, const struct eq_data_check *check,
                                 struct cJSON *o, struct eq_err *err)
{
    struct eq_contact_sheet sheet;
    EQ_CHECK(eq_contact_sheet_write(path, ds, check, &sheet, err));
    describe_sheet(&sheet, path, ds, check, o);
    eq_contact_sheet_clear(&sheet);
    return eq_json_check(err);
}

/* Rows and clips that cannot be used are listed: inspect is the way to see them. */
enum eq_status eq_inspect_folder(const char *path, const struct eq_options *options, struct eq_err *err)
{
    const struct eq_config *cfg = &options->settings.config;
    struct eq_dataset ds = {0};
    struct eq_data_check check = {0};
    struct cJSON *o = cJSON_CreateObject();
    char *cache = eq_cache_dir();
    struct eq_check_opts opts = {.frames = cfg->data.frames, .cache_dir = cache};
    enum eq_status st;
    struct eq_list_opts list_opts = eq_run_list_opts(cfg);
    list_opts.on_error = EQ_ON_ERROR_SKIP;
    EQ_TRY(eq_dataset_open_folder(path, &list_opts, &ds, err));
    EQ_TRY(eq_data_check(&ds, &opts, &check, err));
    EQ_TRY(describe(&ds, &check, o, err));
    if (options->sheet)
        EQ_TRY(draw_sheet(options->sheet, &ds, &check, o, err));
    if (options->json)
        EQ_TRY(eq_print_json(o, err));
    else
        print_text(&ds, &check, o);
    if (options->sheet && !options->json)
        print_sheet(o);
    EQ_TRY(eq_data_check_status(&check, &ds, err));
out:
    free(cache);
    cJSON_Delete(o);
    eq_data_check_clear(&check);
    eq_dataset_clear(&ds);
    return st;
}
