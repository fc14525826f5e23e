/* The histories of the trainings, a picture for each. */
#include "report/plots.h"

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

static void draw(struct eq_report *report, const struct eq_run_model *m, const char *text, int rows, bool start)
{
    struct eq_picture *p = eq_picture_add(&report->pictures, "history", m->name, 540, 330);
    eq_str_add(&p->data, "%s", text);
    eq_str_add(&p->title, "%s: training", m->row);
    eq_str_add(
        &p->caption,
        "MAE on the validation split (left axis) and training loss on the standardized EF (right axis), %d epoch%s. "
        "%s with the lowest validation MAE is kept.",
        rows, rows == 1 ? "" : "s", start ? "Epoch 0 is the model before any step. The one" : "The epoch");
    eq_str_add(
        &p->script,
        "set border 11\nset ytics nomirror\nset y2tics nomirror\nset xlabel 'epoch' offset 0,0.4\n"
        "set ylabel 'validation MAE (EF points)'\nset y2label 'training loss'\nset yrange [0:*]\n"
        "set y2range [0:*]\nset xrange [%g:%g]\nset xtics %d\n"
        "plot '%s.csv' using 'epoch':'val_mae' axes x1y1 with linespoints pt 7 ps 0.5 lw 1.8 lc rgb s%d title "
        "'validation MAE', \\\n"
        "     '' using 'epoch':'train_loss' axes x1y2 with linespoints pt 6 ps 0.4 lw 1.2 dt 2 lc rgb axis title "
        "'training loss'\n",
        start ? -0.5 : 0.5, rows + 0.5, rows > 20 ? rows / 10 : 1 + (rows > 10), p->name.s, m->series);
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
