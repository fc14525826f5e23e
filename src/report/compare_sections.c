/* The comparison of runs as sections. */
#include "report/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_runs(const struct eq_comparison *c, struct eq_section *out)
{
    eq_str_add(&out->title, "Runs");
    struct eq_table *t = eq_section_table(out);
    eq_texts_add(&t->cells, "Run");
    eq_texts_add(&t->cells, "Folder");
    eq_texts_add(&t->cells, "Test clips");
    t->columns = 3;
    t->text_columns = 2;
    for (size_t i = 0; i < c->n; i++) {
        eq_texts_add(&t->cells, "%s", c->runs[i].name);
        eq_texts_add(&t->cells, "%s", c->runs[i].dir);
        eq_table_numbers(t, "%.0f", c->runs[i].results.data.test);
    }
}

static void add_cautions(const struct eq_comparison *c, struct eq_section *out)
{
    out->line_style = EQ_LINE_CAUTION;
    EQ_EACH_TEXT(note, &c->notes)
    {
        eq_texts_add(&out->lines, "%s", note);
    }
}

static void add_settings(const struct eq_comparison *c, struct eq_section *out)
{
    eq_str_add(&out->title, "Settings that differ");
    if (c->n_keys == 0) {
        eq_texts_add(&out->lines, "None: the runs have the same settings.");
        return;
    }
    struct eq_table *t = eq_section_table(out);
    eq_texts_add(&t->cells, "Setting");
    for (size_t i = 0; i < c->n; i++)
        eq_texts_add(&t->cells, "%s", c->runs[i].name);
    t->columns = t->text_columns = (int)c->n + 1;
    for (size_t i = 0; i < c->n_keys; i++) {
        eq_texts_add(&t->cells, "%s", c->keys[i].key);
        EQ_EACH_TEXT(value, &c->keys[i].values)
        {
            eq_texts_add(&t->cells, "%s", *value ? value : "\"\"");
        }
    }
}

static void add_results(const struct eq_comparison *c, struct eq_section *out)
{
    struct eq_table *t = eq_section_table(out);
    struct eq_texts devices = {0};
    eq_str_add(&out->title, "All models");
    eq_texts_add(&t->cells, "Run");
    for (size_t i = 0; i < c->n; i++)
        eq_results_table_devices(&c->runs[i].results, &devices);
    eq_results_table_begin(t, &devices);
    eq_texts_add(&t->cells, "Front");
    t->columns += 2;
    t->text_columns += 1;
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct eq_compared_row *row = &c->rows[i];
        eq_texts_add(&t->cells, "%s", row->run->name);
        eq_results_table_row(t, row->row, eq_results_find(&row->run->results, eq_phase_model(EQ_PHASE_TRAIN)->row),
                             &devices);
        eq_texts_add(&t->cells, "%s",
                     row->front_latency && row->front_size ? "latency, size"
                     : row->front_latency                  ? "latency"
                     : row->front_size                     ? "size"
                                                           : "-");
    }
    eq_str_clear(&devices.s);
    eq_str_add(&out->note,
               "\"MAE vs FP32\", \"Speed-up\", and \"Compression\" are against FP32 of the same run. Front: no other "
               "model with the same test clips has both a lower MAE and a lower latency (times the phases), or both "
               "a lower MAE and a smaller file.");
}

static void add_pairs(const struct eq_comparison *c, struct eq_section *out)
{
    static const char *const header[] = {"Run", "Minus", "Model", "Clips", "MAE difference", "95 % interval", NULL};
    if (c->n_pairs == 0)
        return;
    eq_str_add(&out->title, "Differences between runs, on the same test clips");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 3);
    for (size_t i = 0; i < c->n_pairs; i++) {
        const struct eq_compared_pair *p = &c->pairs[i];
        eq_texts_add(&t->cells, "%s", p->run->name);
        eq_texts_add(&t->cells, "%s", p->base->name);
        eq_texts_add(&t->cells, "%s", p->model);
        eq_table_numbers(t, "%.0f|%+.3f", (double)p->clips, p->mae.value);
        if (isnan(p->mae.low))
            eq_texts_add(&t->cells, "-");
        else
            eq_texts_add(&t->cells, "%+.3f to %+.3f", p->mae.low, p->mae.high);
    }
    eq_str_add(&out->note,
               "EF points, paired clip by clip: the mean of the differences of the absolute errors, with the "
               "percentile interval of a bootstrap over %s (docs/STATISTICS.md). It does not cover what "
               "another seed of the training would change; train.seeds does.",
               c->pairs->by_patient ? "patients" : "clips");
}

static void add_fronts(const struct eq_pictures *pictures, struct eq_section *out)
{
    for (size_t i = 0; pictures && i < pictures->n; i++)
        if (pictures->list[i].drawn) {
            out->plots = eq_list_grow(out->plots, out->n_plots, sizeof *out->plots);
            out->plots[out->n_plots++] = &pictures->list[i];
        }
}

struct eq_section *eq_comparison_sections(const struct eq_comparison *c, const struct eq_pictures *pictures, size_t *n)
{
    static const char *const ids[] = {"cautions", "runs", "config", "models", "pairs", "front"};
    struct eq_section *list = NULL;
    *n = 0;
    for (int i = 0; i < (int)(sizeof ids / sizeof *ids); i++) {
        list = eq_list_grow(list, *n, sizeof *list);
        struct eq_section *s = &list[*n];
        s->id = ids[i];
        s->place = i;
        switch (i) {
        case 0:
            add_cautions(c, s);
            break;
        case 1:
            add_runs(c, s);
            break;
        case 2:
            add_settings(c, s);
            break;
        case 3:
            add_results(c, s);
            break;
        case 4:
            add_pairs(c, s);
            break;
        default:
            add_fronts(pictures, s);
            break;
        }
        if (s->lines.n || s->n_tables || s->n_plots)
            ++*n;
        else
            eq_section_clear(s);
    }
    return list;
}
