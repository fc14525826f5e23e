/* What the check of a data set found: the texts of each kind, as a line and as JSON. */
#include "data/check.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

struct kind_row {
    const char *name;
    const char *one, *many; /* after "1" or a number; NULL: the detail is the whole sentence */
    bool details;           /* add them to the names */
    const char *remedy;
};

#define NAME(id, name) [EQ_FINDING_##id] = name,
static const char *const kind_names[EQ_FINDING_COUNT] = {EQ_FINDING_KINDS(NAME)};

static const struct kind_row kinds[EQ_FINDING_COUNT] = {
    [EQ_FINDING_NO_LIST] = {.remedy = "Write a FileList.csv with the columns FileName and EF."},
    [EQ_FINDING_ROW] = {.one = "row cannot be used",
                        .many = "rows cannot be used",
                        .details = true,
                        .remedy = "Correct these rows of FileList.csv."},
    [EQ_FINDING_MISSING] = {.one = "clip has no file",
                            .many = "clips have no file",
                            .remedy = "Copy the files into the folder or its Videos folder, or remove the rows."},
    [EQ_FINDING_EMPTY] = {.one = "clip is empty",
                          .many = "clips are empty",
                          .remedy = "Copy these files again: they have 0 bytes."},
    [EQ_FINDING_CUT] = {.one = "clip is cut off",
                        .many = "clips are cut off",
                        .details = true,
                        .remedy = "Copy or export these files again: they end too early."},
    [EQ_FINDING_TEXT] = {.one = "file is text, not a clip",
                         .many = "files are text, not clips",
                         .remedy =
                             "Open these files in an editor. A failed download leaves a message instead of the clip; "
                             "download the clip again. Git LFS leaves a pointer; run `git lfs pull`."},
    [EQ_FINDING_FORMAT] = {.one = "file has an unsupported format",
                           .many = "files have an unsupported format",
                           .details = true,
                           .remedy = "Convert these files: ffmpeg -i FILE -c:v mjpeg -q:v 2 FILE.avi"},
    [EQ_FINDING_NO_VIDEO] = {.one = "file is not a video",
                             .many = "files are not videos",
                             .details = true,
                             .remedy = "Replace these files."},
    [EQ_FINDING_TOO_LARGE] = {.one = "clip is over a limit",
                              .many = "clips are over a limit",
                              .details = true,
                              .remedy = "Shorten these clips, or set a higher data.max_clip_pixels."},
    [EQ_FINDING_DAMAGED] = {.one = "clip is damaged",
                            .many = "clips are damaged",
                            .details = true,
                            .remedy = "Copy or export these files again."},
    [EQ_FINDING_UNREADABLE] = {.one = "file cannot be opened",
                               .many = "files cannot be opened",
                               .details = true,
                               .remedy = "Check permissions and the disk."},
    [EQ_FINDING_COPY_ACROSS] =
        {.one = "clip is in two splits",
         .many = "clips are in two splits",
         .details = true,
         .remedy = "Remove one of each pair: a model must not be tested on clips that it was trained on."},
    [EQ_FINDING_COPY] = {.one = "clip is identical to another one",
                         .many = "clips are identical to another one",
                         .details = true,
                         .remedy = "Remove the copies, unless they are meant to count twice."},
    [EQ_FINDING_PATIENT_ACROSS] = {.remedy = "Give all clips of a patient the same split."},
    [EQ_FINDING_EF_FRACTION] = {.remedy = "Set data.ef_unit = fraction, or multiply the column by 100."},
    [EQ_FINDING_LIST] = {.remedy = "Check the list."},
    [EQ_FINDING_CONSTANT] = {.remedy = "Check the source of the column."},
    [EQ_FINDING_EF_RANGE] = {.one = "row has an unusual EF",
                             .many = "rows have unusual EFs",
                             .details = true,
                             .remedy = "Check the EFs below 5 and above 95 %."},
    [EQ_FINDING_VOLUMES] = {.one = "row has an EF that contradicts its volumes",
                            .many = "rows have EFs that contradict their volumes",
                            .details = true,
                            .remedy = "Check EF, ESV, and EDV: EF = 100 (EDV - ESV) / EDV."},
    [EQ_FINDING_SHORT] = {.one = "clip has fewer frames than data.frames",
                          .many = "clips have fewer frames than data.frames",
                          .details = true,
                          .remedy = "Frames of these clips repeat. Leave them out, or set a lower data.frames."},
    [EQ_FINDING_FRAME_SIZE] = {.one = "row states a frame size that differs from its clip",
                               .many = "rows state a frame size that differs from their clips",
                               .details = true,
                               .remedy =
                                   "The program uses the size of the clip. Check that the clips belong to the rows."},
    [EQ_FINDING_FRAME_RATE] = {.one = "row states a frame rate that differs from its clip",
                               .many = "rows state a frame rate that differs from their clips",
                               .details = true,
                               .remedy = "No result depends on the rate. Check that the clips belong to the rows."},
    [EQ_FINDING_FRAME_COUNT] = {.one = "row states a number of frames that differs from its clip",
                                .many = "rows state a number of frames that differs from their clips",
                                .details = true,
                                .remedy =
                                    "The program uses the frames of the clip. Check that the clips are complete."},
};

bool eq_finding_is_fault(enum eq_finding_kind kind)
{
    return kind >= EQ_FINDING_ROW && kind <= EQ_FINDING_UNREADABLE;
}

bool eq_finding_is_problem(enum eq_finding_kind kind)
{
    return kind <= EQ_FINDING_EF_FRACTION;
}

const char *eq_finding_remedy(enum eq_finding_kind kind)
{
    return kinds[kind].remedy;
}

void eq_data_check_add(struct eq_data_check *c, enum eq_finding_kind kind, const char *file_name, int split,
                       const char *detail)
{
    c->findings = eq_list_grow(c->findings, c->n_findings, sizeof *c->findings);
    c->findings[c->n_findings++] =
        (struct eq_finding){kind, eq_strdup(file_name), eq_strdup(detail ? detail : ""), NULL, split};
}

size_t eq_data_check_count(const struct eq_data_check *c, enum eq_finding_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_findings; i++)
        n += c->findings[i].kind == kind;
    return n;
}

void eq_data_check_line(const struct eq_data_check *c, enum eq_finding_kind kind, size_t most, struct eq_str *out)
{
    const struct kind_row *row = &kinds[kind];
    size_t n = eq_data_check_count(c, kind), named = 0;
    if (row->one)
        eq_str_add(out, "%zu %s: ", n, n == 1 ? row->one : row->many);
    for (size_t i = 0; i < c->n_findings && named < most; i++) {
        const struct eq_finding *f = &c->findings[i];
        if (f->kind != kind)
            continue;
        eq_str_add(out, "%s", named++ ? ", " : "");
        eq_str_add_shown(out, row->one ? f->file_name : f->detail);
        if (f->other) {
            eq_str_add(out, " = ");
            eq_str_add_shown(out, f->other);
        }
        if (row->one && row->details && f->detail[0])
            eq_str_add(out, " (%s)", f->detail);
    }
    if (n > named)
        eq_str_add(out, " and %zu more", n - named);
}

enum eq_status eq_data_check_status(const struct eq_data_check *c, const struct eq_dataset *ds, struct eq_err *err)
{
    enum { SHOWN = 3 };
    size_t all = ds->n + ds->n_skipped, bad = all - c->good;
    struct eq_str problems = {0};
    if (bad)
        eq_str_add(&problems, "%zu of %zu clips cannot be used", bad, all);
    for (int kind = 0; kind < EQ_FINDING_COUNT; kind++) {
        if (!eq_finding_is_problem(kind) || eq_finding_is_fault(kind) || eq_data_check_count(c, kind) == 0)
            continue;
        eq_str_add(&problems, "%s", problems.len ? "; " : "");
        eq_data_check_line(c, kind, SHOWN, &problems);
    }
    enum eq_status st = problems.len ? eq_fail(err, EQ_FORMAT, "%s: %s", ds->dir, problems.s) : EQ_OK;
    eq_str_clear(&problems);
    return st;
}

static void add_clip(struct cJSON *clips, const struct eq_finding *f)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "FileName", f->file_name);
    if (f->split >= 0)
        cJSON_AddStringToObject(o, "split", eq_split_name((enum eq_split)f->split));
    if (f->other)
        cJSON_AddStringToObject(o, "other", f->other);
    if (f->detail[0])
        cJSON_AddStringToObject(o, f->other ? "other_split" : "detail", f->detail);
    eq_json_add(clips, NULL, o);
}

struct cJSON *eq_data_check_json(const struct eq_data_check *c)
{
    struct cJSON *all = cJSON_CreateArray(), *clips = NULL;
    for (size_t i = 0; i < c->n_findings; i++) {
        enum eq_finding_kind kind = c->findings[i].kind;
        if (i == 0 || kind != c->findings[i - 1].kind) {
            struct cJSON *o = eq_json_add(all, NULL, cJSON_CreateObject());
            cJSON_AddStringToObject(o, "kind", kind_names[kind]);
            cJSON_AddBoolToObject(o, "problem", eq_finding_is_problem(kind));
            cJSON_AddNumberToObject(o, "count", (double)eq_data_check_count(c, kind));
            cJSON_AddStringToObject(o, "remedy", kinds[kind].remedy);
            clips = cJSON_AddArrayToObject(o, "clips");
        }
        add_clip(clips, &c->findings[i]);
    }
    return all;
}

void eq_data_check_clear(struct eq_data_check *c)
{
    for (size_t i = 0; i < c->n_findings; i++) {
        free(c->findings[i].file_name);
        free(c->findings[i].detail);
        free(c->findings[i].other);
    }
    for (size_t i = 0; c->clips && i < c->n; i++)
        free(c->clips[i].fault);
    free(c->findings);
    eq_free(c->clips);
    *c = (struct eq_data_check){0};
}
