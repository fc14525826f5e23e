/*
 * The pictures of the report. Each is a gnuplot script and a data file in <run>/plots, so that a reader can change and
 * redraw it there (`gnuplot scatter_fp32.gp`), with the SVG beside them.
 */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *color_of(const char *name)
{
    const struct eq_run_model *m = eq_run_model_named(name);
    return m ? m->color : "7a5aa6";
}

static const char style[] = "set encoding utf8\n"
                            "set border 3 lc rgb '#8a94a0'\n"
                            "set tics nomirror tc rgb '#444c56'\n"
                            "set grid lc rgb '#e3e7eb' lt 1 lw 1\n"
                            "set key outside center bottom horizontal Left reverse samplen 1.6 tc rgb '#444c56'\n";

/* A picture that is being made. */
struct drawing {
    struct eq_report *report;
    struct eq_plot *plot; /* the report's last */
    struct eq_str script, data;
};

static struct drawing begin(struct eq_report *report, int width, int height, const char *kind, const char *model)
{
    report->plots = eq_list_grow(report->plots, report->n_plots, sizeof *report->plots);
    struct drawing d = {.report = report, .plot = &report->plots[report->n_plots++]};
    eq_str_add(&d.plot->name, "%s%s%s", kind, model ? "_" : "", model ? model : "");
    eq_str_add(
        &d.script,
        "set terminal svg noenhanced size %d,%d dynamic font 'Helvetica,Arial,sans-serif,13' background rgb 'white'\n"
        "set output '%s.svg'\n%s",
        width, height, d.plot->name.s, style);
    return d;
}

/* Writes script and data, and runs gnuplot on them. Removes the SVG of an earlier report first. */
static enum eq_status finish(struct drawing *d, struct eq_err *err)
{
    enum eq_status st;
    struct eq_str dir = {0}, path = {0};
    struct eq_err why;
    eq_str_add(&dir, "%s/plots", d->report->run_dir);
    eq_str_add(&path, "%s/%s.svg", dir.s, d->plot->name.s);
    unlink(path.s);
    for (int script = 0; script < 2; script++) {
        const struct eq_str *text = script ? &d->script : &d->data;
        path.len = 0;
        eq_str_add(&path, "%s/%s.%s", dir.s, d->plot->name.s, script ? "gp" : "dat");
        EQ_TRY(eq_write_file(path.s, text->s, text->len, err));
    }
    st = d->report->no_pictures.len ? EQ_OK : eq_gnuplot(dir.s, path.s + dir.len + 1, &why);
    if (st == EQ_NOMEM || st == EQ_INTERRUPTED)
        EQ_TRY(eq_fail(err, st, "%s", why.msg));
    if (st != EQ_OK)
        eq_str_add(&d->report->no_pictures, "%s", why.msg);
    st = EQ_OK;
out:
    eq_str_clear(&dir);
    eq_str_clear(&path);
    eq_str_clear(&d->script);
    eq_str_clear(&d->data);
    return st;
}

/* ---- predicted against true EF ------------------------------------------- */

struct model {
    const char *label;
    char name[EQ_ROW_NAME]; /* names its files */
    struct eq_evaluation predictions;
};

/* Whole tens around every true and predicted EF of every model, so that their pictures compare. */
struct limits {
    double lo, hi;
};

static void widen(struct limits *l, const struct eq_evaluation *e)
{
    for (size_t i = 0; i < e->n; i++) {
        l->lo = fmin(l->lo, fmin(e->rows[i].ef, e->rows[i].prediction));
        l->hi = fmax(l->hi, fmax(e->rows[i].ef, e->rows[i].prediction));
    }
}

static enum eq_status draw_scatter(struct eq_report *report, const struct model *m, const struct limits *l,
                                   struct eq_err *err)
{
    const struct eq_evaluation *e = &m->predictions;
    double *errors = NULL;
    if (e->n == 0)
        return EQ_OK;
    struct drawing d = begin(report, 380, 400, "scatter", m->name);
    for (size_t i = 0; i < e->n; i++) {
        errors = eq_list_grow(errors, i, sizeof *errors);
        errors[i] = e->rows[i].prediction - e->rows[i].ef;
    }
    /* Bland & Altman's limits of agreement: mean +- 1.96 sd. */
    struct eq_spread error = eq_spread_of(errors, e->n);
    double sd = e->n > 1 ? error.sd : 0;
    free(errors);
    eq_str_add(&d.plot->title, "%s: predicted against true EF", m->label);
    eq_str_add(&d.plot->caption,
               "%zu test clips. Dashed: limits of agreement, mean difference %+.2f ± 1.96 × %.2f EF points.", e->n,
               error.mean, sd);
    eq_str_add(
        &d.script,
        "set xrange [%g:%g]\nset yrange [%g:%g]\nset size square\nset xtics 10\nset ytics 10\n"
        "set xlabel 'true EF (%%)' offset 0,0.4\nset ylabel 'predicted EF (%%)'\nset title '%s' tc rgb '#222831'\n",
        l->lo, l->hi, l->lo, l->hi, m->label);
    eq_str_add(&d.script,
               "plot x lc rgb '#222831' lw 1.2 title 'identity', \\\n"
               "     x + %.6g lc rgb '#8a94a0' dt 2 lw 1.2 title 'limits of agreement', \\\n"
               "     x + %.6g lc rgb '#8a94a0' dt 2 lw 1.2 notitle, \\\n"
               "     '%s.dat' using 1:2 with points pt 7 ps 0.55 lc rgb '#60%s' notitle\n",
               error.mean + 1.96 * sd, error.mean - 1.96 * sd, d.plot->name.s, color_of(m->name));
    eq_str_add(&d.data, "# true EF, predicted EF (percent)\n");
    for (size_t i = 0; i < e->n; i++)
        eq_str_add(&d.data, "%.9g %.9g\n", e->rows[i].ef, e->rows[i].prediction);
    return finish(&d, err);
}

/* ---- effect of quantization ---------------------------------------------- */

/* Adds the prediction of FP32 and the quantized model's minus FP32's; clips are paired by name. */
static enum eq_status add_changes(struct eq_str *data, const char *label, const struct eq_evaluation *fp32,
                                  const struct eq_evaluation *other, struct eq_err *err)
{
    const struct eq_prediction **partners;
    EQ_CHECK(eq_evaluation_pair(fp32, other, &partners, err));
    eq_str_add(data, "# %s: FP32 prediction, difference to it (EF points)\n", label);
    for (size_t i = 0; i < fp32->n; i++)
        if (partners[i])
            eq_str_add(data, "%.9g %.9g\n", fp32->rows[i].prediction,
                       partners[i]->prediction - fp32->rows[i].prediction);
    eq_str_add(data, "\n\n");
    eq_free(partners);
    return EQ_OK;
}

static enum eq_status draw_changes(struct eq_report *report, const struct model *fp32, const struct model *ptq,
                                   const struct model *qat, struct eq_err *err)
{
    const struct model *const sets[] = {ptq, qat};
    const char *before = "plot ";
    if (!fp32 || (!ptq && !qat))
        return EQ_OK;
    struct drawing d = begin(report, 1100, 330, "changes", NULL);
    eq_str_add(&d.plot->title, "Effect of INT8, clip by clip");
    eq_str_add(
        &d.plot->caption,
        "INT8 prediction minus FP32 prediction. For PTQ this is the quantization error. QAT was trained for more "
        "epochs, so its differences from FP32 include that training.");
    eq_str_add(&d.script, "set xlabel 'FP32 prediction (EF, %%)' offset 0,0.4\nset ylabel 'difference (EF points)'\n"
                          "set xzeroaxis lt 1 lc rgb '#222831'\n");
    enum eq_status st = EQ_OK;
    for (int i = 0, block = 0; i < 2 && st == EQ_OK; i++) {
        if (!sets[i])
            continue;
        st = add_changes(&d.data, sets[i]->label, &fp32->predictions, &sets[i]->predictions, err);
        eq_str_add(&d.script, "%s'changes.dat' index %d using 1:2 with points pt 7 ps 0.55 lc rgb '#40%s' title '%s'",
                   before, block++, color_of(sets[i]->name), sets[i]->label);
        before = ", ";
    }
    eq_str_add(&d.script, "\n");
    if (st == EQ_OK)
        return finish(&d, err);
    eq_str_clear(&d.script);
    eq_str_clear(&d.data);
    return st;
}

/* ---- training history ---------------------------------------------------- */

int eq_history_rows(char *text, bool *start)
{
    int rows = -1; /* the header is none */
    for (char *p = text; *p; p++) {
        rows += *p == '\n';
        *p = *p == ',' ? ' ' : *p;
    }
    *start = rows > 0 && strncmp(strchr(text, '\n') + 1, "0 ", 2) == 0; /* epoch 0 is none */
    return rows > 0 ? rows - *start : 0;
}

/* history/<name>.csv, where there is one, with its header as a comment. */
static enum eq_status draw_history(struct eq_report *report, const char *name, const char *label, struct eq_err *err)
{
    char *path = eq_format("%s/history/%s.csv", report->run_dir, name);
    void *text = NULL;
    size_t len;
    int rows = 0;
    enum eq_status st;
    bool there, start = false;
    EQ_TRY(eq_path_look(path, &there, err));
    if (there)
        EQ_TRY(eq_read_file(path, 64 << 20, &text, &len, err));
    if (text)
        rows = eq_history_rows(text, &start);
    if (rows + start == 0)
        goto out;
    struct drawing d = begin(report, 540, 330, "history", name);
    eq_str_add(&d.data, "# %s", (const char *)text);
    eq_str_add(&d.plot->title, "%s: training", label);
    eq_str_add(
        &d.plot->caption,
        "MAE on the validation split (left axis) and training loss on the standardized EF (right axis), %d epoch%s. "
        "%s with the lowest validation MAE is kept.",
        rows, rows == 1 ? "" : "s", start ? "Epoch 0 is the model before any step. The one" : "The epoch");
    eq_str_add(&d.script,
               "set border 11\nset ytics nomirror\nset y2tics nomirror\nset xlabel 'epoch' offset 0,0.4\n"
               "set ylabel 'validation MAE (EF points)'\nset y2label 'training loss'\nset yrange [0:*]\n"
               "set y2range [0:*]\nset xrange [%g:%g]\nset xtics %d\n"
               "set title '%s' tc rgb '#222831'\n"
               "plot '%s.dat' using 1:4 axes x1y1 with linespoints pt 7 ps 0.5 lw 1.8 lc rgb '#%s' title 'validation "
               "MAE', \\\n"
               "     '' using 1:3 axes x1y2 with linespoints pt 6 ps 0.4 lw 1.2 dt 2 lc rgb '#8a94a0' title 'training "
               "loss'\n",
               start ? -0.5 : 0.5, rows + 0.5, rows > 20 ? rows / 10 : 1 + (rows > 10), label, d.plot->name.s,
               color_of(name));
    st = finish(&d, err);
out:
    eq_free(text);
    free(path);
    return st;
}

/* ---- sensitivity --------------------------------------------------------- */

/* A column of the data file; gnuplot fails on one without a value. */
static const struct column {
    const char *key, *label, *with;
} sensitivity_columns[] = {
    {"ef_change_only", "EF, this layer alone", "axes x1y2 with boxes lc rgb '#c9d2db'"},
    {"weight_sqnr_db", "weights", "with linespoints pt 7 ps 0.5 lw 1.6 lc rgb '#2f5d8a'"},
    {"output_sqnr_db", "output alone", "with linespoints pt 7 ps 0.5 lw 1.6 lc rgb '#3f8f5f'"},
    {"accumulated_sqnr_db", "output so far", "with linespoints pt 7 ps 0.5 lw 1.6 lc rgb '#c8602b'"},
};
enum { SENSITIVITY_COLUMNS = sizeof sensitivity_columns / sizeof *sensitivity_columns };

static void plot_columns(struct drawing *d, const struct cJSON *layers)
{
    const struct cJSON *row;
    const char *before = "plot";
    for (int i = 0; i < SENSITIVITY_COLUMNS; i++) {
        const struct column *c = &sensitivity_columns[i];
        bool any = false;
        cJSON_ArrayForEach(row, layers) any |= isfinite(eq_json_real(row, c->key));
        if (!any)
            continue;
        eq_str_add(&d->script, "%s 'sensitivity.dat' using 0:%d:xtic(1) %s title '%s'", before, i + 2, c->with,
                   c->label);
        before = ", \\\n    ";
    }
    eq_str_add(&d->script, "\n");
}

enum eq_status eq_plots_sensitivity(struct eq_report *report, struct eq_err *err)
{
    const struct cJSON *layers = cJSON_GetObjectItemCaseSensitive(report->sensitivity, "layers"), *row;
    struct drawing d = begin(report, 1100, 420, "sensitivity", NULL);
    eq_str_add(&d.plot->title, "Sensitivity of the layers");
    eq_str_add(&d.plot->caption,
               "Lines, left axis: signal to quantization noise of each layer; higher is better. Bars, right axis: RMS "
               "change of the EF when only this layer is quantized.");
    eq_str_add(&d.data, "# layer, change of EF (points), SQNR of weights, of output, of output so far (dB)\n");
    cJSON_ArrayForEach(row, layers)
    {
        eq_str_add(&d.data, "%s", eq_json_text(row, "layer"));
        for (int i = 0; i < SENSITIVITY_COLUMNS; i++) {
            double value = eq_json_real(row, sensitivity_columns[i].key);
            eq_str_add(&d.data, isfinite(value) ? " %.9g" : " ?", value); /* "?" is a missing value to gnuplot */
        }
        eq_str_add(&d.data, "\n");
    }
    eq_str_add(&d.script, "set border 11\nset ytics nomirror\nset y2tics nomirror\nset xtics rotate by -45\n"
                          "set ylabel 'signal to noise (dB)'\nset y2label 'change of EF (points)'\n"
                          "set y2range [0:*]\nset style fill solid 0.5 noborder\nset boxwidth 0.6\n");
    plot_columns(&d, layers);
    return finish(&d, err);
}

/* ---- all of them --------------------------------------------------------- */

/* Reads the models that have predictions. */
static enum eq_status read_models(const struct eq_report *report, struct model **models, size_t *n, struct eq_err *err)
{
    const struct eq_results *r = &report->results;
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < r->n && st == EQ_OK; i++) {
        struct model m = {.label = r->rows[i].model};
        bool there;
        if (!eq_run_file_name(m.label, m.name))
            continue;
        char *path = eq_format("%s/predictions/%s.csv", report->run_dir, m.name);
        st = eq_path_look(path, &there, err);
        if (st == EQ_OK && there && (st = eq_predictions_read(path, &m.predictions, err)) == EQ_OK) {
            *models = eq_list_grow(*models, *n, sizeof m);
            (*models)[(*n)++] = m;
        }
        free(path);
    }
    return st;
}

/* NULL: none. */
static const struct model *find(const struct model *models, size_t n, enum eq_phase phase)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i].name, eq_phase_model(phase)->name) == 0 && models[i].predictions.n > 0)
            return &models[i];
    return NULL;
}

enum eq_status eq_plots_make(struct eq_report *report, struct eq_err *err)
{
    struct model *models = NULL;
    size_t n = 0;
    enum eq_status st;
    struct limits l = {100, 0};
    char *dir = eq_path_join(report->run_dir, "plots");
    EQ_TRY(eq_make_dirs(dir, err));
    EQ_TRY(read_models(report, &models, &n, err));
    for (size_t i = 0; i < n; i++)
        widen(&l, &models[i].predictions);
    l.lo = floor(l.lo / 10) * 10;
    l.hi = ceil(l.hi / 10) * 10;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        EQ_TRY(draw_history(report, m->name, m->row, err));
    for (size_t i = 0; i < n; i++)
        EQ_TRY(draw_scatter(report, &models[i], &l, err));
    EQ_TRY(draw_changes(report, find(models, n, EQ_PHASE_TRAIN), find(models, n, EQ_PHASE_PTQ),
                        find(models, n, EQ_PHASE_QAT), err));
    if (report->sensitivity)
        EQ_TRY(eq_plots_sensitivity(report, err));
out:
    for (size_t i = 0; i < n; i++)
        eq_evaluation_clear(&models[i].predictions);
    free(models);
    free(dir);
    return st;
}
