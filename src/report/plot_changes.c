/* Effect of quantization, clip by clip. */
#include "report/plots.h"

/* Adds the prediction of FP32 and the quantized model's minus FP32's; clips are paired by name. */
static enum eq_status add_changes(struct eq_str *data, const struct eq_plot_model *fp32,
                                  const struct eq_plot_model *other, struct eq_err *err)
{
    const struct eq_prediction **partners;
    EQ_CHECK(eq_evaluation_pair(&fp32->predictions, &other->predictions, &partners, err));
    for (size_t i = 0; i < fp32->predictions.n; i++) {
        const struct eq_prediction *row = &fp32->predictions.rows[i];
        if (!partners[i])
            continue;
        eq_csv_text(data, other->name);
        eq_csv_text(data, row->file_name);
        eq_csv_real(data, row->prediction);
        eq_csv_real(data, partners[i]->prediction - row->prediction);
        eq_csv_end(data);
    }
    eq_free(partners);
    return EQ_OK;
}

enum eq_status eq_plot_changes(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct eq_plot_model *fp32 = eq_plot_model_of(models, EQ_PHASE_TRAIN),
                               *sets[] = {eq_plot_model_of(models, EQ_PHASE_PTQ),
                                          eq_plot_model_of(models, EQ_PHASE_QAT)};
    const char *before = "plot ";
    if (!fp32 || (!sets[0] && !sets[1]))
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "changes", NULL, 1100, 330);
    eq_str_add(&p->title, "Effect of INT8, clip by clip");
    eq_str_add(
        &p->caption,
        "INT8 prediction minus FP32 prediction. For PTQ this is the quantization error. QAT was trained for more "
        "epochs, so its differences from FP32 include that training.");
    eq_str_add(&p->data, "model,FileName,fp32_ef,difference\n");
    eq_str_add(&p->script, "set xlabel 'FP32 prediction (EF, %%)' offset 0,0.4\nset ylabel 'difference (EF points)'\n"
                           "set xzeroaxis lt 1 lc rgb ink\n");
    for (int i = 0; i < 2; i++) {
        if (!sets[i])
            continue;
        EQ_CHECK(add_changes(&p->data, fp32, sets[i], err));
        eq_str_add(&p->script,
                   "%s'changes.csv' using (strcol('model') eq '%s' ? column('fp32_ef') : NaN):'difference' with points "
                   "pt 7 ps 0.55 lc rgb faint(s%d) title '%s'",
                   before, sets[i]->name, sets[i]->series, sets[i]->label);
        before = ", \\\n     ";
    }
    eq_str_add(&p->script, "\n");
    return EQ_OK;
}
