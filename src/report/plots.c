/*
 * The report's pictures. Each is a gnuplot script and a data file in <run>/plots, so that a reader can change and
 * redraw it there (`gnuplot scatter_fp32.gp`); the SVG lies beside them.
 */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
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

/* A picture under way. */
struct drawing {
    struct eq_report *report;
    struct eq_plot *plot;
    struct eq_str script, data;
};

static bool drawing_begin(struct drawing *d, struct eq_report *report, const char *name, int width, int height)
{
    if (report->n_plots == EQ_MAX_PLOTS)
        return false;
    *d = (struct drawing){.report = report, .plot = &report->plots[report->n_plots]};
    *d->plot = (struct eq_plot){0};
    snprintf(d->plot->name, sizeof d->plot->name, "%s", name);
    eq_str_add(
        &d->script,
        "set terminal svg noenhanced size %d,%d dynamic font 'Helvetica,Arial,sans-serif,13' background rgb 'white'\n"
        "set output '%s.svg'\n%s",
        width, height, name, style);
    return true;
}

static enum eq_status write_plot_file(const struct drawing *d, const char *extension, const struct eq_str *text,
                                      struct eq_err *err)
{
    struct eq_str path = {0};
    eq_str_add(&path, "%s/plots/%s.%s", d->report->run_dir, d->plot->name, extension);
    enum eq_status st = eq_write_file(path.s, text->s, text->len, err);
    eq_str_clear(&path);
    return st;
}

/* An SVG of an earlier report must not pass for this one's. */
static void remove_old(const struct drawing *d)
{
    struct eq_str path = {0};
    eq_str_add(&path, "%s/plots/%s.svg", d->report->run_dir, d->plot->name);
    unlink(path.s);
    eq_str_clear(&path);
}

static void run_gnuplot(const struct drawing *d)
{
    struct eq_str dir = {0}, script = {0};
    struct eq_err why;
    eq_str_add(&dir, "%s/plots", d->report->run_dir);
    eq_str_add(&script, "%s.gp", d->plot->name);
    if (eq_gnuplot(dir.s, script.s, &why) != EQ_OK)
        snprintf(d->report->no_pictures, sizeof d->report->no_pictures, "%.300s", why.msg);
    eq_str_clear(&dir);
    eq_str_clear(&script);
}

static enum eq_status drawing_end(struct drawing *d, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(write_plot_file(d, "gp", &d->script, err));
    EQ_TRY(write_plot_file(d, "dat", &d->data, err));
    remove_old(d);
    if (!d->report->no_pictures[0])
        run_gnuplot(d);
    d->report->n_plots++;
out:
    eq_str_clear(&d->script);
    eq_str_clear(&d->data);
    return st;
}

/* ---- predicted against true EF ------------------------------------------- */

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

/* Mean and standard deviation (n - 1) of prediction - EF: Bland & Altman's limits of agreement are mean +- 1.96 sd. */
static void agreement(const struct eq_evaluation *e, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < e->n; i++)
        sum += e->rows[i].prediction - e->rows[i].ef;
    *mean = sum / (double)e->n;
    for (size_t i = 0; i < e->n; i++) {
        double r = e->rows[i].prediction - e->rows[i].ef - *mean;
        squares += r * r;
    }
    *sd = e->n > 1 ? sqrt(squares / (double)(e->n - 1)) : 0;
}

static enum eq_status draw_scatter(struct eq_report *report, const char *name, const char *label,
                                   const struct eq_evaluation *e, const struct limits *l, struct eq_err *err)
{
    struct drawing d;
    char file[64];
    double mean, sd;
    snprintf(file, sizeof file, "scatter_%.40s", name);
    if (e->n == 0 || !drawing_begin(&d, report, file, 380, 400))
        return EQ_OK;
    agreement(e, &mean, &sd);
    snprintf(d.plot->title, sizeof d.plot->title, "%s: predicted against true EF", label);
    snprintf(d.plot->caption, sizeof d.plot->caption,
             "%zu test clips. Dashed: limits of agreement, mean difference %+.2f ± 1.96 × %.2f EF points.", e->n, mean,
             sd);
    eq_str_add(
        &d.script,
        "set xrange [%g:%g]\nset yrange [%g:%g]\nset size square\nset xtics 10\nset ytics 10\n"
        "set xlabel 'true EF (%%)' offset 0,0.4\nset ylabel 'predicted EF (%%)'\nset title '%s' tc rgb '#222831'\n",
        l->lo, l->hi, l->lo, l->hi, label);
    eq_str_add(&d.script,
               "plot x lc rgb '#222831' lw 1.2 title 'identity', \\\n"
               "     x + %.6g lc rgb '#8a94a0' dt 2 lw 1.2 title 'limits of agreement', \\\n"
               "     x + %.6g lc rgb '#8a94a0' dt 2 lw 1.2 notitle, \\\n"
               "     '%s.dat' using 1:2 with points pt 7 ps 0.55 lc rgb '#60%s' notitle\n",
               mean + 1.96 * sd, mean - 1.96 * sd, file, color_of(name));
    eq_str_add(&d.data, "# true EF, predicted EF (percent)\n");
    for (size_t i = 0; i < e->n; i++)
        eq_str_add(&d.data, "%.9g %.9g\n", e->rows[i].ef, e->rows[i].prediction);
    return drawing_end(&d, err);
}

/* ---- what quantization changes ------------------------------------------- */

/* The quantized model's prediction minus FP32's, over FP32's; clips are matched by name. */
static enum eq_status add_changes(struct eq_str *data, const char *label, const struct eq_evaluation *fp32,
                                  const struct eq_evaluation *other, struct eq_err *err)
{
    const struct eq_prediction **partners;
    enum eq_status st = eq_evaluation_pair(fp32, other, &partners, err);
    if (st != EQ_OK)
        return st;
    eq_str_add(data, "# %s: FP32 prediction, difference to it (EF points)\n", label);
    for (size_t i = 0; i < fp32->n; i++)
        if (partners[i])
            eq_str_add(data, "%.9g %.9g\n", fp32->rows[i].prediction,
                       partners[i]->prediction - fp32->rows[i].prediction);
    eq_str_add(data, "\n\n");
    eq_free(partners);
    return EQ_OK;
}

static enum eq_status draw_changes(struct eq_report *report, const struct eq_evaluation *fp32,
                                   const struct eq_evaluation *ptq, const struct eq_evaluation *qat, struct eq_err *err)
{
    struct drawing d;
    enum eq_status st;
    if (fp32->n == 0 || (ptq->n == 0 && qat->n == 0) || !drawing_begin(&d, report, "changes", 1100, 330))
        return EQ_OK;
    snprintf(d.plot->title, sizeof d.plot->title, "What INT8 changes, clip by clip");
    snprintf(d.plot->caption, sizeof d.plot->caption,
             "INT8 prediction minus FP32 prediction. PTQ's distance from zero is its quantization error; QAT was "
             "trained further, so its differences are no error by themselves.");
    eq_str_add(&d.script, "set xlabel 'FP32 prediction (EF, %%)' offset 0,0.4\nset ylabel 'difference (EF points)'\n"
                          "set xzeroaxis lt 1 lc rgb '#222831'\nplot ");
    const struct eq_evaluation *sets[] = {ptq, qat};
    const struct eq_run_model *const m[] = {eq_phase_model(EQ_PHASE_PTQ), eq_phase_model(EQ_PHASE_QAT)};
    for (int i = 0, block = 0; i < 2; i++) {
        if (sets[i]->n == 0)
            continue;
        EQ_TRY(add_changes(&d.data, m[i]->row, fp32, sets[i], err));
        eq_str_add(&d.script, "%s'changes.dat' index %d using 1:2 with points pt 7 ps 0.55 lc rgb '#40%s' title '%s'",
                   block ? ", " : "", block, m[i]->color, m[i]->row);
        block++;
    }
    eq_str_add(&d.script, "\n");
    return drawing_end(&d, err);
out:
    eq_str_clear(&d.script);
    eq_str_clear(&d.data);
    return st;
}

/* ---- training history ---------------------------------------------------- */

/* history/<name>.csv as blank-separated columns behind a comment; *rows: epochs in it, 0 when there is no such file. */
static enum eq_status read_history(const char *run_dir, const char *name, struct eq_str *out, int *rows,
                                   struct eq_err *err)
{
    struct eq_str path = {0};
    void *text = NULL;
    size_t len;
    bool there;
    enum eq_status st;
    *rows = 0;
    eq_str_add(&path, "%s/history/%s.csv", run_dir, name);
    EQ_TRY(eq_path_look(path.s, &there, err));
    if (!there)
        goto out;
    EQ_TRY(eq_read_file(path.s, 64 << 20, &text, &len, err));
    eq_str_add(out, "# ");
    for (const char *p = text; *p; p++) {
        eq_str_add(out, "%c", *p == ',' ? ' ' : *p);
        *rows += *p == '\n';
    }
    *rows -= *rows > 0; /* the header */
out:
    eq_free(text);
    eq_str_clear(&path);
    return st;
}

static enum eq_status draw_history(struct eq_report *report, const char *name, const char *label, struct eq_err *err)
{
    struct drawing d;
    char file[64];
    int rows;
    enum eq_status st;
    snprintf(file, sizeof file, "history_%.40s", name);
    if (!drawing_begin(&d, report, file, 540, 330))
        return EQ_OK;
    EQ_TRY(read_history(report->run_dir, name, &d.data, &rows, err));
    if (rows == 0)
        goto out;
    snprintf(d.plot->title, sizeof d.plot->title, "%s: training", label);
    snprintf(
        d.plot->caption, sizeof d.plot->caption,
        "MAE on the validation split (left axis) and training loss on the standardised EF (right axis), %d epoch%s. "
        "The epoch with the lowest validation MAE is kept.",
        rows, rows == 1 ? "" : "s");
    eq_str_add(&d.script,
               "set border 11\nset ytics nomirror\nset y2tics nomirror\nset xlabel 'epoch' offset 0,0.4\n"
               "set ylabel 'validation MAE (EF points)'\nset y2label 'training loss'\nset yrange [0:*]\n"
               "set y2range [0:*]\nset xrange [0.5:%g]\nset xtics %d\n"
               "set title '%s' tc rgb '#222831'\n"
               "plot '%s.dat' using 1:4 axes x1y1 with linespoints pt 7 ps 0.5 lw 1.8 lc rgb '#%s' title 'validation "
               "MAE', \\\n"
               "     '' using 1:3 axes x1y2 with linespoints pt 6 ps 0.4 lw 1.2 dt 2 lc rgb '#8a94a0' title 'training "
               "loss'\n",
               rows + 0.5,
               rows > 20   ? rows / 10
               : rows > 10 ? 2
                           : 1,
               label, file, color_of(name));
    return drawing_end(&d, err);
out:
    eq_str_clear(&d.script);
    eq_str_clear(&d.data);
    return st;
}

/* ---- sensitivity --------------------------------------------------------- */

static void add_number(struct eq_str *data, const struct cJSON *row, const char *key)
{
    double value = eq_report_number(row, key);
    if (isfinite(value))
        eq_str_add(data, " %.9g", value);
    else
        eq_str_add(data, " ?"); /* gnuplot's word for a value that is missing */
}

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
        cJSON_ArrayForEach(row, layers) any |= isfinite(eq_report_number(row, c->key));
        if (!any)
            continue;
        eq_str_add(&d->script, "%s 'sensitivity.dat' using 0:%d:xtic(1) %s title '%s'", before, i + 2, c->with,
                   c->label);
        before = ", \\\n    ";
    }
    eq_str_add(&d->script, "\n");
}

enum eq_status eq_plots_sensitivity(struct eq_report *report, const struct cJSON *json, struct eq_err *err)
{
    struct drawing d;
    const struct cJSON *layers = cJSON_GetObjectItemCaseSensitive(json, "layers"), *row;
    if (!drawing_begin(&d, report, "sensitivity", 1100, 420))
        return EQ_OK;
    snprintf(d.plot->title, sizeof d.plot->title, "Sensitivity of the layers");
    snprintf(d.plot->caption, sizeof d.plot->caption,
             "Lines, left axis: signal to quantization noise of each layer, higher is better. Bars, right axis: how "
             "much the EF moves (root mean square) when only this layer is quantized.");
    eq_str_add(&d.data, "# layer, change of EF (points), SQNR of weights, of output, of output so far (dB)\n");
    cJSON_ArrayForEach(row, layers)
    {
        eq_str_add(&d.data, "%.60s", eq_report_text(row, "layer"));
        for (int i = 0; i < SENSITIVITY_COLUMNS; i++)
            add_number(&d.data, row, sensitivity_columns[i].key);
        eq_str_add(&d.data, "\n");
    }
    eq_str_add(&d.script, "set border 11\nset ytics nomirror\nset y2tics nomirror\nset xtics rotate by -45\n"
                          "set ylabel 'signal to noise (dB)'\nset y2label 'change of EF (points)'\n"
                          "set y2range [0:*]\nset style fill solid 0.5 noborder\nset boxwidth 0.6\n");
    plot_columns(&d, layers);
    return drawing_end(&d, err);
}

/* ---- all of them --------------------------------------------------------- */

enum { MAX_MODELS = 8 };
struct model {
    const char *label;
    char name[EQ_ROW_NAME];           /* names its files */
    struct eq_evaluation predictions; /* empty when there is no file */
};

static enum eq_status read_models(const struct eq_report *report, struct model models[MAX_MODELS], int *n,
                                  struct eq_err *err)
{
    const struct cJSON *row;
    enum eq_status st = EQ_OK;
    *n = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(report->results, "models"))
    {
        struct model *m = &models[*n];
        struct eq_str path = {0};
        if (*n == MAX_MODELS)
            break;
        *m = (struct model){.label = eq_results_model_name(row)};
        if (!eq_run_file_name(m->label, m->name))
            continue;
        eq_str_add(&path, "%s/predictions/%s.csv", report->run_dir, m->name);
        bool there;
        st = eq_path_look(path.s, &there, err);
        if (st == EQ_OK && there) {
            st = eq_predictions_read(path.s, &m->predictions, err);
            ++*n;
        }
        eq_str_clear(&path);
        if (st != EQ_OK)
            break;
    }
    return st;
}

static const struct eq_evaluation *predictions_of(const struct model models[], int n, enum eq_phase phase)
{
    static const struct eq_evaluation none;
    for (int i = 0; i < n && i < MAX_MODELS; i++)
        if (strcmp(models[i].name, eq_phase_model(phase)->name) == 0)
            return &models[i].predictions;
    return &none;
}

enum eq_status eq_plots_make(struct eq_report *report, struct eq_err *err)
{
    struct model models[MAX_MODELS] = {0};
    int n = 0;
    enum eq_status st;
    struct limits l = {100, 0};
    char *dir = eq_path_join(report->run_dir, "plots");
    report->n_plots = 0;
    report->no_pictures[0] = '\0';
    EQ_TRY(eq_make_dirs(dir, err));
    EQ_TRY(read_models(report, models, &n, err));
    for (int i = 0; i < n; i++)
        widen(&l, &models[i].predictions);
    l.lo = floor(l.lo / 10) * 10;
    l.hi = ceil(l.hi / 10) * 10;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        EQ_TRY(draw_history(report, m->name, m->row, err));
    for (int i = 0; i < n; i++)
        EQ_TRY(draw_scatter(report, models[i].name, models[i].label, &models[i].predictions, &l, err));
    EQ_TRY(draw_changes(report, predictions_of(models, n, EQ_PHASE_TRAIN), predictions_of(models, n, EQ_PHASE_PTQ),
                        predictions_of(models, n, EQ_PHASE_QAT), err));
    if (report->sensitivity)
        EQ_TRY(eq_plots_sensitivity(report, report->sensitivity, err));
out:
    for (int i = 0; i < n; i++)
        eq_evaluation_clear(&models[i].predictions);
    free(dir);
    return st;
}
