/* ROC curves of "EF below the cut", a picture for each cut. */
#include "report/plots.h"

#include <math.h>

/* Clips by their predicted EF, low ones first. */
struct scores {
    double *score;
    bool *positive;
    struct eq_roc_point *points; /* [n + 1] */
    size_t n, positives;
};

static enum eq_status open_scores(struct scores *s, const struct eq_evaluation *e, double cut, struct eq_err *err)
{
    *s = (struct scores){.n = e->n};
    s->score = eq_alloc(e->n, sizeof *s->score);
    s->positive = eq_alloc(e->n, sizeof *s->positive);
    s->points = eq_alloc(e->n + 1, sizeof *s->points);
    if (!s->score || !s->positive || !s->points)
        return eq_fail(err, EQ_NOMEM, "out of memory for a picture of %zu clips", e->n);
    for (size_t i = 0; i < e->n; i++) {
        s->score[i] = -e->rows[i].prediction;
        s->positive[i] = e->rows[i].ef < cut;
        s->positives += s->positive[i];
    }
    return EQ_OK;
}

static void close_scores(struct scores *s)
{
    eq_free(s->score);
    eq_free(s->positive);
    eq_free(s->points);
}

static enum eq_status add_model(struct eq_picture *p, const struct eq_plot_model *m, double cut, int *curves,
                                struct eq_err *err)
{
    struct scores s;
    struct eq_auc auc;
    size_t n;
    enum eq_status st;
    char label[EQ_ROW_NAME + 16];
    EQ_TRY(open_scores(&s, &m->predictions, cut, err));
    EQ_TRY(eq_auc_of(s.score, s.positive, s.n, &auc, err));
    EQ_TRY(eq_roc_of(s.score, s.positive, s.n, s.points, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!eq_plot_draws_step(i, n))
            continue;
        eq_csv_text(&p->data, m->name);
        eq_csv_real(&p->data, isfinite(s.points[i].threshold) ? -s.points[i].threshold : NAN);
        eq_csv_real(&p->data, 100 * s.points[i].fpr);
        eq_csv_real(&p->data, 100 * s.points[i].tpr);
        eq_csv_end(&p->data);
    }
    snprintf(label, sizeof label, "%s %.3f", m->label, auc.auc);
    eq_plot_add_curve(
        p, m, &(struct eq_plot_curve){"false_positives_percent", "true_positives_percent", "with lines ls %d", label},
        curves);
    eq_str_add(&p->alt, "%s%s %.3f", *curves > 1 ? ", " : "", m->label, auc.auc);
    if (isfinite(auc.low))
        eq_str_add(&p->alt, " (%.3f to %.3f)", auc.low, auc.high);
out:
    close_scores(&s);
    return st;
}

/* No picture for a cut that all clips lie on one side of. */
static enum eq_status draw(struct eq_report *report, const struct eq_plot_models *models, double cut,
                           struct eq_err *err)
{
    const struct eq_plot_model *first = NULL;
    size_t positives = 0;
    int curves = 0;
    char name[16];
    for (size_t i = 0; i < models->n && !first; i++)
        first = models->list[i].predictions.n > 0 ? &models->list[i] : NULL;
    for (size_t i = 0; first && i < first->predictions.n; i++)
        positives += first->predictions.rows[i].ef < cut;
    if (!first || positives == 0 || positives == first->predictions.n)
        return EQ_OK;
    snprintf(name, sizeof name, "%.0f", cut);
    struct eq_picture *p = eq_picture_add(&report->pictures, "roc", name, 380, 400);
    p->kind = "auc";
    eq_str_add(&p->title, "ROC: EF below %.0f %%", cut);
    eq_str_add(&p->caption,
               "Detection of the %zu of %zu test clips whose true EF is below %.0f %%, by a threshold on the predicted "
               "EF. Numbers: area under the curve (AUC). The diagonal is chance.",
               positives, first->predictions.n, cut);
    eq_str_add(&p->alt, "%zu of %zu clips are below; AUC with 95 %% interval: ", positives, first->predictions.n);
    eq_str_add(&p->data, "model,threshold_ef,false_positives_percent,true_positives_percent\n");
    eq_str_add(&p->script, "set xrange [0:100]\nset yrange [0:100]\nset xtics 20\nset ytics 20\nset size square\n"
                           "set xlabel 'false positives (%% of EF not below)' offset 0,0.3\n"
                           "set ylabel 'true positives (%% of EF below)'\n"
                           "set key inside bottom right vertical width -2\n"
                           "set samples 2\n");
    for (size_t i = 0; i < models->n; i++)
        if (models->list[i].predictions.n > 0)
            EQ_CHECK(add_model(p, &models->list[i], cut, &curves, err));
    eq_str_add(&p->script, ", \\\n     x lc rgb soft lw 1 dt (2,4) notitle\n");
    eq_str_add(&p->alt, ".");
    return EQ_OK;
}

enum eq_status eq_plot_roc(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    static const double cuts[] = {35, 40, 45, 50};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        EQ_CHECK(draw(report, models, cuts[i], err));
    return EQ_OK;
}
