/* The latency of every timed call, a row of dots for each model, and for each model on a device. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A row of dots. */
struct lane {
    struct eq_plot_model model; /* of the run; its name is that of the lane */
    char label[2 * EQ_ROW_NAME];
    struct eq_result_latency latency;
};
struct lanes {
    struct lane *list; /* owned */
    size_t n;
};

/* device: NULL for the CPU. */
static void add_lane(struct lanes *lanes, const struct eq_plot_model *m, const struct eq_result_latency *l,
                     const char *device)
{
    if (!l->samples || cJSON_GetArraySize(l->samples) == 0)
        return;
    lanes->list = eq_list_grow(lanes->list, lanes->n, sizeof *lanes->list);
    struct lane *lane = &lanes->list[lanes->n++];
    lane->model = *m;
    lane->latency = *l;
    if (device) {
        snprintf(lane->model.name, sizeof lane->model.name, "%.20s@%s", m->name, device);
        snprintf(lane->label, sizeof lane->label, "%.40s on %s", m->label, device);
    } else {
        snprintf(lane->label, sizeof lane->label, "%.60s", m->label);
    }
}

static struct lanes find_lanes(const struct eq_plot_models *models)
{
    struct lanes lanes = {0};
    struct eq_result_device d;
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_plot_model *m = &models->list[i];
        add_lane(&lanes, m, &m->row->latency, NULL);
        for (size_t k = 0; eq_result_device_at(m->row, k, &d); k++)
            add_lane(&lanes, m, &d.latency, d.id);
    }
    return lanes;
}

/* Dots lie beside each other by the fractional part of k times the golden ratio, which spreads any number of them. */
static void add_calls(struct eq_picture *p, const struct lane *lane, int place)
{
    const struct cJSON *sample;
    double k = 0;
    cJSON_ArrayForEach(sample, lane->latency.samples)
    {
        double beside = fmod(k++ * 0.6180339887498949, 1);
        eq_csv_text(&p->data, lane->model.name);
        eq_csv_real(&p->data, sample->valuedouble);
        eq_csv_real(&p->data, place + 0.12 + 0.5 * beside);
        eq_csv_end(&p->data);
    }
}

static void add_marks(struct eq_picture *p, const struct eq_result_latency *l, int place)
{
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

static void add_script(struct eq_picture *p, const struct lanes *lanes)
{
    int rows = (int)lanes->n, curves = 0;
    eq_str_add(&p->script,
               "set xrange [0:*]\nset yrange [-0.4:%g]\nset xlabel 'latency (ms)' offset 0,0.3\nunset ylabel\n"
               "set rmargin 9\nset border 1\nset grid xtics noytics\nunset key\nset ytics scale 0 (",
               rows - 0.2);
    for (int i = 0; i < rows; i++)
        eq_str_add(&p->script, "%s'%s' %g", i ? ", " : "", lanes->list[i].label, rows - 1 - i + 0.2);
    eq_str_add(&p->script, ")\n");
    for (int i = 0; i < rows; i++)
        add_marks(p, &lanes->list[i].latency, rows - 1 - i);
    for (int i = 0; i < rows; i++)
        eq_plot_add_curve(p, &lanes->list[i].model,
                          &(struct eq_plot_curve){"latency_ms", "place", "with points pt 7 ps 0.35 lc rgb faint(s%d)",
                                                  lanes->list[i].label},
                          &curves);
    eq_str_add(&p->script, "\n");
}

enum eq_status eq_plot_latency(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    struct lanes lanes = find_lanes(models);
    int rows = (int)lanes.n;
    (void)err;
    if (rows == 0)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "latency", NULL, 560, 110 + 62 * rows);
    eq_str_add(&p->title, "Latency of inference");
    eq_str_add(&p->caption, "Time of every timed call for one clip and one phase, a dot each. Marks: median (circle), "
                            "90th (triangle) and 99th percentile (square) by nearest rank; n: calls.");
    eq_str_add(&p->data, "model,latency_ms,place\n");
    for (int i = 0; i < rows; i++) {
        const struct eq_result_latency *l = &lanes.list[i].latency;
        add_calls(p, &lanes.list[i], rows - 1 - i);
        eq_str_add(&p->alt, "%s%s: median %.3g ms, 90th percentile %.3g, 99th %.3g, %.0f calls", i ? "; " : "",
                   lanes.list[i].label, l->median, l->p90, l->p99, l->repeats);
    }
    eq_str_add(&p->alt, ".");
    add_script(p, &lanes);
    free(lanes.list);
    return EQ_OK;
}
