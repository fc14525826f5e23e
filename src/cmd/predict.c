#include "cmd/cmd.h"

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    return o->model ? EQ_OK : eq_fail(err, EQ_USAGE, "predict needs --model FILE");
}

/* ctx: the struct eq_unlike that counts. */
static enum eq_status print(void *ctx, const struct eq_sample *sample, float ef, const char *unlike, struct eq_err *err)
{
    struct eq_str name = {0};
    (void)err;
    eq_unlike_add(ctx, sample->file_name, unlike);
    eq_csv_add(&name, sample->file_name);
    printf("%s,%.9g\n", name.s, ef);
    fflush(stdout); /* whoever reads along sees each EF when it is there */
    eq_str_clear(&name);
    return EQ_OK;
}

static void name_failures(const struct eq_skipped *failures, size_t n)
{
    for (size_t i = 0; i < n; i++)
        eq_warn("left out: %s", failures[i].reason);
}

static void name_damaged(const struct eq_skipped *damaged, size_t n)
{
    for (size_t i = 0; i < n; i++)
        eq_warn("%s is damaged and was used as far as it can be read: %s", damaged[i].file_name, damaged[i].reason);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct eq_config cfg = *s->cfg; /* strings stay with the settings */
    struct eq_predictor p = {0};
    struct eq_loader *loader = NULL;
    const struct eq_skipped *failures;
    struct eq_unlike unlike = {0};
    enum eq_status st;
    EQ_TRY(eq_predictor_open(&p, o->model, cfg.run.precision, 1, err));
    cfg.data.frames = p.meta.frames;
    cfg.data.size = p.meta.size;
    cfg.data.cache_mb = 0;
    EQ_TRY(eq_dataset_from_paths((const char *const *)o->args, (size_t)o->n_args, cfg.data.on_error, &s->data, err));
    name_failures(s->data.skipped, s->data.n_skipped);
    EQ_TRY(eq_run_eval_loader(&cfg, &s->data, EQ_SPLIT_TEST, cfg.data.on_error, &loader, err));
    printf("FileName,Prediction\n");
    EQ_TRY(eq_predict_clips(&p, &s->data, loader, print, &unlike, err));
    size_t n = eq_loader_failures(loader, &failures);
    name_failures(failures, n);
    eq_unlike_warn(&unlike, "clips", s->data.n - n);
    n = eq_loader_damaged(loader, &failures);
    name_damaged(failures, n);
out:
    eq_str_clear(&unlike.first);
    eq_loader_free(loader);
    eq_predictor_close(&p);
    return st;
}

const struct eq_command eq_cmd_predict = {
    .name = "predict",
    .summary = "predict the EF of clips",
    .arguments = "CLIP.avi...",
    .about = "Predicts the EF (percent) of each clip with the model of --model, FP32 or INT8. The model file "
             "alone determines how clips are sampled and normalized. Prints CSV on stdout: "
             "FileName,Prediction, in the order of the arguments.\n\n"
             "--phases P samples each clip at P phases and prints the mean of their EFs.\n\n"
             "A clip that cannot be read, or is damaged, ends the command with exit code 1. With --set "
             "data.on_error=skip it is named on stderr and left out; with data.on_error=use a damaged clip is "
             "named and used as far as it can be read.\n\n"
             "A clip whose pixels look unlike those of the clips that the model was trained on (brightness, "
             "contrast, share of black, motion, detail, color, layout) is predicted and named in a warning.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_PHASES | EQ_OPT_MODEL,
    .min_args = 1,
    .max_args = 1000000,
    .sections = (const char *const[]){"data.on_error", "eval.phases", "run.threads", "run.cpu", "run.precision", NULL},
    .check = check,
    .run = run,
};
