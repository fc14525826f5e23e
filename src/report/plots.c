/* All pictures of a report: adds each kind, and draws them together. */
#include "report/plots.h"

#include <stdlib.h>

enum eq_status eq_plots_draw(struct eq_report *report, struct eq_err *err)
{
    char *dir = eq_path_join(report->out_dir ? report->out_dir : report->run_dir, "plots");
    enum eq_status st = eq_make_dirs(dir, err);
    if (st == EQ_OK)
        st = eq_pictures_draw(&report->pictures, dir, err);
    free(dir);
    return st;
}

enum eq_status eq_plots_make(struct eq_report *report, struct eq_err *err)
{
    struct eq_plot_models models = {0};
    enum eq_status st;
    EQ_TRY(eq_plot_models_read(report, &models, err));
#define MAKE(kind) EQ_TRY(eq_plot_##kind(report, &models, err));
    EQ_PLOTS(MAKE)
    EQ_TRY(eq_plots_draw(report, err));
out:
    eq_plot_models_clear(&models);
    return st;
}
