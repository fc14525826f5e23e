/* The histories of the trainings, a picture for each: errors above, learning rate and norm of the gradient below. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int eq_history_rows(const char *text, bool *start)
{
    int rows = -1; /* the header is none */
    for (const char *p = text; *p; p++)
        rows += *p == '\n';
    *start = rows > 0 && strncmp(strchr(text, '\n') + 1, "0,", 2) == 0; /* epoch 0 is none */
    return rows > 0 ? rows - *start : 0;
}

/* The column of that name in a line of the header; -1: none. */
static int column_of(const char *header, const char *name)
{
    int column = 0;
    for (const char *p = header;; p++, column++) {
        size_t len = strcspn(p, ",\r\n");
        if (len == strlen(name) && memcmp(p, name, len) == 0)
            return column;
        p += len;
        if (*p != ',')
            return -1;
    }
}

/* The numbers of a column. */
struct numbers {
    bool any; /* gnuplot fails on a column without any */
    double min, max, epoch_of_min;
};

static struct numbers numbers_of(const char *text, const char *name)
{
    int column = column_of(text, name);
    struct numbers n = {.min = NAN, .max = NAN, .epoch_of_min = NAN};
    for (const char *line = strchr(text, '\n'); line && line[1] && column >= 0; line = strchr(line, '\n')) {
        const char *p = ++line;
        for (int i = 0; i < column && p[strcspn(p, ",\n")] == ','; i++)
            p += strcspn(p, ",\n") + 1;
        char *end;
        double value = strtod(p, &end);
        if (end == p || !isfinite(value))
            continue;
        if (!(value >= n.min))
            n.min = value, n.epoch_of_min = strtod(line, NULL);
        n.max = fmax(n.max, value);
        n.any = true;
    }
    return n;
}

/* The upper panel: validation MAE on the left axis, loss on the right one. */
static void add_errors(struct eq_picture *p, const struct eq_run_model *m, bool mae, bool loss)
{
    eq_str_add(&p->script, "plot ");
    if (mae)
        eq_str_add(
            &p->script,
            "'%s.csv' using 'epoch':'val_mae' axes x1y1 with linespoints ls %d dt solid title 'validation MAE'%s",
            p->name.s, m->series, loss ? ", \\\n     " : "");
    if (loss)
        eq_str_add(&p->script,
                   "'%s.csv' using 'epoch':'train_loss' axes x1y2 with linespoints pt 4 ps 0.5 lw 1.4 dt (6,3) lc rgb "
                   "soft title 'training loss'",
                   p->name.s);
    eq_str_add(&p->script, "\n");
}

/* The lower one: learning rate and norm. */
static void add_steps(struct eq_picture *p, const struct numbers *rate, const struct numbers *norm)
{
    eq_str_add(&p->script,
               "set format x '%%g'\nset xlabel 'epoch' offset 0,0.3\nset tmargin at screen 0.36\nset bmargin "
               "at screen 0.11\nunset ylabel\nunset y2label\nunset ytics\nunset y2tics\n");
    if (rate->any)
        eq_str_add(&p->script,
                   "set ytics nomirror %g tc rgb soft\nset format y '%%.0e'\nset ylabel 'learning rate' offset 1,0 tc "
                   "rgb ink\n",
                   eq_plot_step(rate->max, 4));
    if (norm->any)
        eq_str_add(&p->script, "set y2tics nomirror %g tc rgb soft\nset y2label 'gradient norm' tc rgb ink\n",
                   eq_plot_step(norm->max, 4));
    eq_str_add(&p->script, "plot ");
    if (rate->any)
        eq_str_add(&p->script,
                   "'%s.csv' using 'epoch':'lr' axes x1y1 with steps lw 1.8 lc rgb ink title 'learning rate'%s",
                   p->name.s, norm->any ? ", \\\n     " : "");
    if (norm->any)
        eq_str_add(&p->script,
                   "'%s.csv' using 'epoch':'grad_norm' axes x1y2 with linespoints pt 4 ps 0.5 lw 1.4 dt (6,3) lc rgb "
                   "soft title 'gradient norm'",
                   p->name.s);
    eq_str_add(&p->script, "\n");
}

static void draw(struct eq_report *report, const struct eq_run_model *m, const char *text, int rows, bool start)
{
    const struct numbers mae = numbers_of(text, "val_mae"), loss = numbers_of(text, "train_loss"),
                         rate = numbers_of(text, "lr"), norm = numbers_of(text, "grad_norm");
    bool steps = rate.any || norm.any;
    if (!mae.any && !loss.any)
        return;
    struct eq_picture *p = eq_picture_add(&report->pictures, "history", m->name, 460, steps ? 460 : 320);
    eq_str_add(&p->data, "%s", text);
    eq_str_add(&p->title, "%s: training", m->row);
    eq_str_add(&p->caption,
               "MAE on the validation split (left axis) and training loss on the standardized EF (right axis), %d "
               "epoch%s%s%s. %s with the lowest validation MAE is kept.",
               rows, rows == 1 ? "" : "s", steps ? "; below, the learning rate" : "",
               norm.any ? " and the mean norm of the gradient before clipping" : "",
               start ? "Epoch 0 is the model before any step. The one" : "The epoch");
    eq_str_add(&p->alt, "%d epoch%s", rows, rows == 1 ? "" : "s");
    if (mae.any)
        eq_str_add(&p->alt, "; the lowest validation MAE is %.2f EF points, in epoch %.0f", mae.min, mae.epoch_of_min);
    eq_str_add(&p->alt, ".");
    eq_str_add(&p->script,
               "set multiplot\nset key at graph 0, graph 1.02 left bottom\nset lmargin at screen 0.165\nset rmargin at "
               "screen 0.82\nset border 11\nset xrange [%g:%g]\nset xtics %g\nset yrange [0:*]\nset y2range [0:*]\n"
               "set ytics %g\nset y2tics nomirror %g\nset tmargin at screen 0.90\nset bmargin at screen %g\n"
               "set ylabel 'validation MAE (EF points)'\nset y2label 'training loss'\n",
               start ? -0.5 : 0.5, rows + 0.5, fmax(1, eq_plot_step(rows, 12)), mae.any ? eq_plot_step(mae.max, 6) : 1,
               loss.any ? eq_plot_step(loss.max, 6) : 1, steps ? 0.46 : 0.15);
    eq_str_add(&p->script, steps ? "set format x ''\n" : "set xlabel 'epoch' offset 0,0.3\n");
    add_errors(p, m, mae.any, loss.any);
    if (steps)
        add_steps(p, &rate, &norm);
    eq_str_add(&p->script, "unset multiplot\n");
}

enum eq_status eq_plot_history(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    (void)models;
    for (const struct eq_run_model *m = eq_run_models; m->name && st == EQ_OK; m++) {
        char *path = eq_format("%s/history/%s.csv", report->run_dir, m->name);
        void *text = NULL;
        size_t len;
        bool there, start = false;
        st = eq_path_look(path, &there, err);
        if (st == EQ_OK && there)
            st = eq_read_file(path, 64 << 20, &text, &len, err);
        int rows = text ? eq_history_rows(text, &start) : 0;
        if (rows + start > 0)
            draw(report, m, text, rows, start);
        eq_free(text);
        free(path);
    }
    return st;
}
