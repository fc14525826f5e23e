/* The values of every quantized edge with the range of its levels, small pictures in one for each model. */
#include "report/plots.h"

#include <math.h>

enum { COLUMNS = 5, WIDTH = 1000, ROW = 160, FOOT = 34 };

/* Shares below this are drawn as this; the axis begins there. */
static const double least = 1e-7;

static size_t add_edge(struct eq_picture *p, const struct cJSON *edge)
{
    const struct cJSON *counts = cJSON_GetObjectItemCaseSensitive(edge, "counts"), *count;
    int n = cJSON_GetArraySize(counts), i = 0;
    double min = eq_json_real(edge, "min"), width = (eq_json_real(edge, "max") - min) / n, all = 0;
    cJSON_ArrayForEach(count, counts) all += count->valuedouble;
    cJSON_ArrayForEach(count, counts)
    {
        double share = all > 0 ? count->valuedouble / all : 0;
        eq_csv_text(&p->data, eq_json_text(edge, "edge"));
        eq_csv_real(&p->data, min + i * width);
        eq_csv_real(&p->data, min + (i + 1) * width);
        eq_csv_real(&p->data, count->valuedouble);
        eq_csv_real(&p->data, share > least ? share : least);
        eq_csv_end(&p->data);
        i++;
    }
    return (size_t)n;
}

/* from, n: the rows of the data; place: from 0 on, of `rows` rows of small pictures. */
static void add_panel(struct eq_picture *p, const struct cJSON *edge, size_t from, size_t n, int place, int rows)
{
    double low = eq_json_real(edge, "low"), high = eq_json_real(edge, "high"), height = ROW * rows + FOOT;
    double left = fmin(eq_json_real(edge, "min"), low), right = fmax(eq_json_real(edge, "max"), high),
           margin = 0.03 * (right - left);
    int column = place % COLUMNS, row = place / COLUMNS;
    double x = 0.075 + 0.187 * column, top = (ROW * row + 20) / height, bottom = (ROW * (row + 1) - 22) / height;
    struct eq_str name = {0};
    eq_script_text(&name, eq_json_text(edge, "edge"));
    eq_str_add(&p->script,
               "set lmargin at screen %.4f\nset rmargin at screen %.4f\nset tmargin at screen %.4f\n"
               "set bmargin at screen %.4f\nset xrange [%.6g:%.6g]\nset xtics %.6g\n"
               "set label 1 %s at graph 0.5,1.09 center tc rgb ink\n"
               "set arrow 1 from %.6g,graph 0 to %.6g,graph 1 nohead lc rgb s2 lw 1.4 dt (4,3)\n"
               "set arrow 2 from %.6g,graph 0 to %.6g,graph 1 nohead lc rgb s2 lw 1.4 dt (4,3)\n"
               "set format y '%s'\n%s%s",
               x, x + 0.142, 1 - top, 1 - bottom, left - margin, right + margin, eq_plot_step(right - left, 4), name.s,
               low, low, high, high, column ? "" : "%.0e",
               column ? "unset ylabel\n" : "set ylabel 'share' font ',12' offset 0.5,0\n",
               row == rows - 1 ? "set xlabel 'value' font ',12' offset 0,0.6\n" : "");
    eq_str_clear(&name);
    eq_str_add(&p->script,
               "plot '%s.csv' using ((column('from')+column('to'))/2):'share' every ::%zu::%zu with filledcurves "
               "y=1e-7 fs solid 0.35 noborder lc rgb s1 notitle\n",
               p->name.s, from, from + n - 1);
}

static void draw(struct eq_report *report, const struct eq_quantization *q)
{
    const struct cJSON *edges = cJSON_GetObjectItemCaseSensitive(q->json, "edges"), *edge, *worst = NULL;
    int n = cJSON_GetArraySize(edges), rows = (n + COLUMNS - 1) / COLUMNS, place = 0;
    double clips = eq_json_real(q->json, "clips");
    size_t from = 0;
    struct eq_picture *p = eq_picture_add(&report->pictures, "ranges", q->model->name, WIDTH, ROW * rows + FOOT);
    eq_str_add(&p->title, "%s: values of every edge, and its range", q->model->row);
    eq_str_add(&p->caption,
               "Share of FP32's values in %d bins, on %.0f clip%s of the %s split (logarithmic axis, from "
               "1e-7). Dashed: first and last of the 256 levels; values outside are clipped.",
               EQ_RANGE_BINS, clips, clips == 1 ? "" : "s", eq_json_text(q->json, "split"));
    eq_str_add(&p->data, "edge,from,to,count,share\n");
    eq_str_add(&p->script,
               "set multiplot\nset logscale y\nunset mytics\nset yrange [1e-7:1]\nset ytics 100\nset border 3\n"
               "set xtics autofreq font ',12'\nset ytics font ',12'\nunset key\n");
    cJSON_ArrayForEach(edge, edges)
    {
        size_t added = add_edge(p, edge);
        add_panel(p, edge, from, added, place++, rows);
        from += added;
        worst = !worst || eq_json_real(edge, "clipped") > eq_json_real(worst, "clipped") ? edge : worst;
    }
    eq_str_add(&p->script, "unset multiplot\n");
    eq_str_add(&p->alt, "%d edges; %s clips most, %.2g %% of its values.", n, eq_json_text(worst, "edge"),
               100 * eq_json_real(worst, "clipped"));
}

enum eq_status eq_plot_ranges(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    (void)models, (void)err;
    for (size_t i = 0; i < report->measured.n; i++)
        if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(report->measured.list[i].json, "edges")) > 0)
            draw(report, &report->measured.list[i]);
    return EQ_OK;
}
