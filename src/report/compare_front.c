/* The front of error against latency and against size: the models that no other one beats in both. */
#include "report/compare.h"

#include <math.h>
#include <string.h>

enum { MAX_LABELS = 24 }; /* rows up to which each point has the name of its run */

/* Whether b is at least as good in both and better in one. */
static bool beats(double mae_b, double cost_b, double mae_a, double cost_a)
{
    return mae_b <= mae_a && cost_b <= cost_a && (mae_b < mae_a || cost_b < cost_a);
}

void eq_comparison_find_fronts(struct eq_comparison *c)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        struct eq_compared_row *a = &c->rows[i];
        bool known = isfinite(a->row->mae) && strcmp(a->row->model, EQ_MEDIAN_ROW) != 0;
        a->front_latency = known && c->timed_alike && isfinite(a->cost);
        a->front_size = known && isfinite(a->row->size_mb);
        for (size_t k = 0; k < c->n_rows; k++) {
            const struct eq_compared_row *b = &c->rows[k];
            if (b->run->clips != a->run->clips || strcmp(b->row->model, EQ_MEDIAN_ROW) == 0)
                continue;
            a->front_latency &= !beats(b->row->mae, b->cost, a->row->mae, a->cost);
            a->front_size &= !beats(b->row->mae, b->row->size_mb, a->row->mae, a->row->size_mb);
        }
    }
}

static double place_of(const struct eq_compared_row *row, bool latency)
{
    return latency ? row->cost : row->row->size_mb;
}

/* The data of a picture: a line for each row with a place in it. Returns how many. */
static int add_data(const struct eq_comparison *c, bool latency, struct eq_picture *p)
{
    int n = 0;
    eq_str_add(&p->data, "run,model,test_group,%s,mae,front\n", latency ? "latency_ms" : "size_mb");
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct eq_compared_row *row = &c->rows[i];
        if (!isfinite(place_of(row, latency)) || !isfinite(row->row->mae))
            continue;
        eq_csv_text(&p->data, row->run->name);
        eq_csv_text(&p->data, row->row->model);
        eq_csv_real(&p->data, row->run->clips);
        eq_csv_real(&p->data, place_of(row, latency));
        eq_csv_real(&p->data, row->row->mae);
        eq_csv_real(&p->data, latency ? row->front_latency : row->front_size);
        eq_csv_end(&p->data);
        eq_str_add(&p->points, "%s, %s: MAE %.2f, %.3g %s", row->run->name, row->row->model, row->row->mae,
                   place_of(row, latency), latency ? "ms" : "MB");
        eq_str_add_bytes(&p->points, "", 1);
        n++;
    }
    return n;
}

/* Models have their series, runs stand beside them by name. */
static void add_script(const struct eq_comparison *c, bool latency, struct eq_picture *p)
{
    const char *x = latency ? "latency_ms" : "size_mb", *before = "plot ";
    eq_str_add(&p->script,
               "set xlabel '%s' offset 0,0.4\nset ylabel 'MAE (EF points)'\nset xrange [0:*]\nset offsets 0,graph 0.08,"
               "graph 0.08,graph 0.05\n",
               latency ? "latency of a clip (ms)" : "size of the file (MB)");
    for (size_t i = 0; i < c->n_rows; i++) {
        const char *model = c->rows[i].row->model;
        char name[EQ_ROW_NAME];
        bool first = isfinite(place_of(&c->rows[i], latency)) && isfinite(c->rows[i].row->mae);
        for (size_t k = 0; k < i; k++)
            first &= strcmp(c->rows[k].row->model, model) != 0;
        if (!first || !eq_run_file_name(model, name))
            continue;
        int series = eq_run_series(name);
        eq_str_add(&p->script,
                   "%s'%s.csv' using (strcol('model') eq '%s' ? column('%s') : NaN):'mae' with points ls %d ps 1.1 "
                   "title '%s'",
                   before, p->name.s, model, x, series, model);
        before = ", \\\n     ";
    }
    eq_str_add(&p->script,
               "%s'%s.csv' using (column('front') > 0 ? column('%s') : NaN):'mae' with points pt 6 ps 2.2 lw 1.4 lc "
               "rgb ink title 'on the front'",
               before, p->name.s, x);
    if (c->n_rows <= MAX_LABELS)
        eq_str_add(&p->script,
                   ", \\\n     '' using '%s':'mae':(strcol('run')) with labels left offset 1,0.4 tc rgb soft font "
                   "',10' notitle",
                   x);
    eq_str_add(&p->script,
               ", \\\n     '' using '%s':'mae':0 with labels hypertext point pt 7 ps 1.1 lc rgb '#ff000000' "
               "notitle\n",
               x);
}

void eq_comparison_plot(const struct eq_comparison *c, struct eq_pictures *all)
{
    for (int latency = 1; latency >= 0; latency--) {
        struct eq_picture *p;
        int n = 0, front = 0;
        bool any = false;
        for (size_t i = 0; i < c->n_rows; i++)
            any |= isfinite(place_of(&c->rows[i], latency)) && isfinite(c->rows[i].row->mae);
        if (!any || c->groups > 1 || (latency && !c->timed_alike))
            continue;
        p = eq_picture_add(all, "front", latency ? "latency" : "size", 540, 400);
        n = add_data(c, latency, p);
        for (size_t i = 0; i < c->n_rows; i++)
            front += latency ? c->rows[i].front_latency : c->rows[i].front_size;
        eq_str_add(&p->title, "Error against %s", latency ? "latency" : "size");
        eq_str_add(&p->caption, "%d models of %zu runs. Circled: no other model has both a lower error and %s.", n,
                   c->n, latency ? "a lower latency" : "a smaller file");
        eq_str_add(&p->alt,
                   "%d models of %zu runs, of which %d are on the front of error against %s. The table has "
                   "their values.",
                   n, c->n, front, latency ? "latency" : "size");
        add_script(c, latency, p);
    }
}
