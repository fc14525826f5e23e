/* The latency of every timed call, a row of dots for each model. */
#include "report/plots.h"

#include <math.h>

static size_t samples_of(const struct eq_plot_model *m)
{
    return m->row->latency.samples ? (size_t)cJSON_GetArraySize(m->row->latency.samples) : 0;
}

/* Dots lie beside each other by the fractional part of k times the golden ratio, which spreads any number of them. */
static void add_calls(struct eq_picture *p, const struct eq_plot_model *m, int place)
{
    const struct cJSON *sample;
    double k = 0;
    cJSON_ArrayForEach(sample, m->row->latency.samples)
    {
        double beside = fmod(k++ * 0.6180339887498949, 1);
        eq_csv_text(&p->data, m->name);
        eq_csv_real(&p->data, sample->valuedouble);
        eq_csv_real(&p->data, place + 0.12 + 0.5 * beside);
        eq_csv_end(&p->data);
    }
}

static void add_marks(struct eq_picture *p, const struct eq_plot_model *m, int place)
{
    const struct eq_result_latency *l = &m->row->latency;
    const struct {
        double ms;
        int mark;
    } marks[] = {{l->median, 7}, {l->p90, 9}, {l->p99, 5}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (isfinite(marks[i].ms))
            eq_str_add(&p->script, "set label '' at %.9g, %g point pt %d ps 0.9 lc rgb ink front\n", marks[i].ms,
                       place - 0.08, marks[i].mark);
    eq_str_add(&p->script, "set label 'n = %.0f' at graph 1.02, first %g tc rgb soft font ',11.5'\n", l->repeats,
               place + 0.15);
}

enum eq_status eq_plot_latency(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    int rows = 0, place = 0, curves = 0;
    double longest = 0;
    (void)err;
    for (size_t i = 0; i < models->n; i++)
        if (samples_of(&models->list[i]) > 0) {
            rows++;
            longest = fmax(longest, models->list[i].row->latency.p99);
        }
    if (rows == 0)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "latency", NULL, 560, 110 + 62 * rows);
    eq_str_add(&p->title, "Latency of inference");
    eq_str_add(&p->caption, "Time of every timed call for one clip and one phase, a dot each. Marks: median (circle), "
                            "90th (triangle) and 99th percentile (square) by nearest rank; n: calls.");
    eq_str_add(&p->data, "model,latency_ms,place\n");
    eq_str_add(&p->script,
               "set xrange [0:*]\nset yrange [-0.4:%g]\nset xlabel 'latency (ms)' offset 0,0.3\nunset ylabel\n"
               "set rmargin 9\nset border 1\nset grid xtics noytics\nunset key\nset ytics scale 0 (",
               rows - 0.2);
    for (size_t i = 0, k = 0; i < models->n; i++)
        if (samples_of(&models->list[i]) > 0)
            eq_str_add(&p->script, "%s'%s' %g", k ? ", " : "", models->list[i].label, rows - 1 - (double)k + 0.2), k++;
    eq_str_add(&p->script, ")\n");
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_plot_model *m = &models->list[i];
        const struct eq_result_latency *l = &m->row->latency;
        if (samples_of(m) == 0)
            continue;
        int row = rows - 1 - place++;
        add_calls(p, m, row);
        add_marks(p, m, row);
        eq_str_add(&p->alt, "%s%s: median %.3g ms, 90th percentile %.3g, 99th %.3g, %.0f calls", place > 1 ? "; " : "",
                   m->label, l->median, l->p90, l->p99, l->repeats);
    }
    eq_str_add(&p->alt, ".");
    for (size_t i = 0; i < models->n; i++)
        if (samples_of(&models->list[i]) > 0)
            eq_plot_add_curve(p, &models->list[i],
                              &(struct eq_plot_curve){"latency_ms", "place",
                                                      "with points pt 7 ps 0.35 lc rgb faint(s%d)",
                                                      models->list[i].label},
                              &curves);
    eq_str_add(&p->script, "\n");
    return EQ_OK;
}
