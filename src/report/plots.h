/* The pictures of a report, a file for each kind. */
#ifndef REPORT_PLOTS_H
#define REPORT_PLOTS_H

#include "report/report.h"

/* A model with predictions. */
struct eq_plot_model {
    const char *label;      /* its row */
    char name[EQ_ROW_NAME]; /* names its files */
    int series;
    struct eq_evaluation predictions;
};
struct eq_plot_models {
    struct eq_plot_model *list;
    size_t n;
    double lo, hi; /* whole tens around every true and predicted EF of all models, so that their pictures compare */
};
/* Reads the predictions of the run's models. Init models with {0}; clear it also after a failure. */
enum eq_status eq_plot_models_read(const struct eq_report *report, struct eq_plot_models *models, struct eq_err *err);
void eq_plot_models_clear(struct eq_plot_models *models);
/* The model that a phase makes; NULL: it has no predictions. */
const struct eq_plot_model *eq_plot_model_of(const struct eq_plot_models *models, enum eq_phase phase);

/* The kinds. eq_plot_<kind> is in a file of its own and adds its pictures to report->pictures; none if there is nothing
 * to show. Sections show them by kind (section_pictures.c). */
#define EQ_PLOTS(X)                                                                                                    \
    X(history)                                                                                                         \
    X(scatter)                                                                                                         \
    X(changes)                                                                                                         \
    X(sensitivity)                                                                                                     \
    X(labels)                                                                                                          \
    X(layer_costs)                                                                                                     \
    X(ranges)
#define EQ_PLOT_FUNCTION(kind)                                                                                         \
    enum eq_status eq_plot_##kind(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err);
EQ_PLOTS(EQ_PLOT_FUNCTION)

/* Draws what has been added, in <run>/plots. */
enum eq_status eq_plots_draw(struct eq_report *report, struct eq_err *err);
/* Reads the predictions of the run, adds the pictures of all kinds, and draws them. */
enum eq_status eq_plots_make(struct eq_report *report, struct eq_err *err);
/* The number of epochs in the text of a history. *start: it begins with a row for the model before any step. */
int eq_history_rows(const char *text, bool *start);

#endif
