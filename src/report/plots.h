/* The pictures of a report, a file for each kind. */
#ifndef REPORT_PLOTS_H
#define REPORT_PLOTS_H

#include "report/report.h"

/* A model of the run. Its texts may stand in a script. */
struct eq_plot_model {
    const struct eq_result *row;
    const char *label;      /* its row */
    char name[EQ_ROW_NAME]; /* names its files */
    int series;
    struct eq_evaluation predictions; /* n 0: there are none */
};
struct eq_plot_models {
    struct eq_plot_model *list;
    size_t n;
    bool any;      /* some have predictions */
    double lo, hi; /* whole tens around every true and predicted EF of all models, so that their pictures compare */
};
/* Reads the predictions of the run's models. Init models with {0}; clear it also after a failure. */
enum eq_status eq_plot_models_read(const struct eq_report *report, struct eq_plot_models *models, struct eq_err *err);
void eq_plot_models_clear(struct eq_plot_models *models);
/* The model that a phase makes; NULL: it has no predictions. */
const struct eq_plot_model *eq_plot_model_of(const struct eq_plot_models *models, enum eq_phase phase);

/* So that a page stays below 3 MB: points have the names of their clips up to this number of clips, and steps of a
 * curve are thinned to this number. */
enum { EQ_PLOT_NAMED = 1000, EQ_PLOT_STEPS = 500 };
/* Whether to draw step i of n: all of them, or about EQ_PLOT_STEPS at equal distances with the first and the last. */
bool eq_plot_draws_step(size_t i, size_t n);

/* The kinds. eq_plot_<kind> is in a file of its own and adds its pictures to report->pictures; none if there is nothing
 * to show. The kind of a picture is the section that shows it. */
#define EQ_PLOTS(X)                                                                                                    \
    X(scatter)                                                                                                         \
    X(differences)                                                                                                     \
    X(errors)                                                                                                          \
    X(agreement)                                                                                                       \
    X(roc)                                                                                                             \
    X(latency)                                                                                                         \
    X(front)                                                                                                           \
    X(history)                                                                                                         \
    X(seeds)                                                                                                           \
    X(sensitivity)                                                                                                     \
    X(labels)                                                                                                          \
    X(layer_costs)                                                                                                     \
    X(ranges)
#define EQ_PLOT_FUNCTION(kind)                                                                                         \
    enum eq_status eq_plot_##kind(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err);
EQ_PLOTS(EQ_PLOT_FUNCTION)

/* Appends "'<file>.csv' using <x>:<y> <with> title '<label>'" for the rows of a model, which the column model names,
 * with "plot" or a comma before it. x and y: columns. with: what stands for "%d" is the series of the model. */
struct eq_plot_curve {
    const char *x, *y, *with, *label;
};
void eq_plot_add_curve(struct eq_picture *p, const struct eq_plot_model *m, const struct eq_plot_curve *c, int *curves);
/* A distance of 1, 2 or 5 times a power of ten between tics, of which at most `most` fit into a span; 1 for no span. */
double eq_plot_step(double span, int most);
/* Draws what has been added, in <run>/plots. */
enum eq_status eq_plots_draw(struct eq_report *report, struct eq_err *err);
/* Reads the predictions of the run, adds the pictures of all kinds, and draws them. */
enum eq_status eq_plots_make(struct eq_report *report, struct eq_err *err);
/* The number of epochs in the text of a history. *start: it begins with a row for the model before any step. */
int eq_history_rows(const char *text, bool *start);

#endif
