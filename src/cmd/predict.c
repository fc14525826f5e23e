#include "cmd/cmd.h"

#include <string.h>

static const struct eq_command_spec spec = {
    .name = "predict",
    .arguments = "CLIP.avi...",
    .about =
        "Predicts the EF (percent) of each clip with the model of --model, FP32 or INT8: the model file alone says "
        "how\n"
        "clips are sampled and normalised. Prints CSV on stdout: FileName,Prediction, in the order of the "
        "arguments.\n\n"
        "--phases P reads each clip at P phases and prints the mean of their EFs.\n\n"
        "A clip that can't be read stops it with exit code 1; with --set data.on_error=skip it is named on stderr and\n"
        "left out.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_PHASES | EQ_OPT_MODEL,
    .min_args = 1,
    .max_args = 1000000,
    .sections = (const char *const[]){"data.on_error", "eval.phases", "run.threads", "run.cpu", "run.precision", NULL},
};

/* Quoted where CSV needs it. */
static void print_name(const char *name)
{
    if (!strpbrk(name, ",\"\r\n")) {
        fputs(name, stdout);
        return;
    }
    putchar('"');
    for (; *name; name++) {
        if (*name == '"')
            putchar('"');
        putchar(*name);
    }
    putchar('"');
}

static enum eq_status predict_all(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_err *err)
{
    enum eq_status st;
    struct eq_batch batch;
    EQ_TRY(eq_loader_start(loader, 0, 0, err));
    printf("FileName,Prediction\n");
    for (;;) {
        float ef;
        EQ_TRY(eq_loader_next(loader, &batch, err));
        if (batch.n == 0)
            break;
        const struct eq_sample *sample = &ds->samples[batch.index[0]];
        st = eq_predictor_mean(p, batch.pixels, batch.phases, &ef, err);
        if (st != EQ_OK)
            EQ_TRY(eq_err_context(err, "%s", sample->path));
        print_name(sample->file_name);
        printf(",%.9g\n", ef);
        fflush(stdout); /* whoever reads along sees each EF when it is there */
        if (eq_interrupted()) {
            st = eq_fail(err, EQ_INTERRUPTED, "interrupted");
            goto out;
        }
    }
out:
    return st;
}

static void name_failures(const struct eq_loader *loader)
{
    const struct eq_skipped *failures;
    size_t n = eq_loader_failures(loader, &failures);
    for (size_t i = 0; i < n; i++)
        eq_warn("left out: %s", failures[i].reason);
}

enum eq_status eq_cmd_predict(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    struct eq_predictor p = {0};
    struct eq_dataset ds = {0};
    struct eq_loader *loader = NULL;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    struct eq_config cfg = o.settings.config; /* strings stay with the settings */
    if (!o.model) {
        st = eq_fail(err, EQ_USAGE, "predict needs --model FILE");
        goto out;
    }
    EQ_TRY(eq_predictor_open(&p, o.model, cfg.run.precision, 1, err));
    cfg.data.frames = p.meta.frames;
    cfg.data.size = p.meta.size;
    cfg.data.cache_mb = 0;
    EQ_TRY(eq_dataset_from_paths((const char *const *)o.args, (size_t)o.n_args, cfg.data.on_error, &ds, err));
    for (size_t i = 0; i < ds.n_skipped; i++)
        eq_warn("left out: %s", ds.skipped[i].reason);
    EQ_TRY(eq_run_eval_loader(&cfg, &ds, EQ_SPLIT_TEST, cfg.data.on_error, &loader, err));
    EQ_TRY(predict_all(&p, &ds, loader, err));
    name_failures(loader);
out:
    eq_loader_free(loader);
    eq_dataset_clear(&ds);
    eq_predictor_close(&p);
    eq_options_clear(&o);
    return st;
}
