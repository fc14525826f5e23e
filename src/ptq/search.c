/*
 * ptq.search: which observer and which switches? Greedy: every observer first, then one switch after the other, each on
 * top of the best so far. Only calibration clips are looked at: one half fits (ranges, statistics, rounding), the other
 * judges by the EF of the integer engine against FP32's. One pass over the clips serves all observers.
 */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <math.h>

/* What depends on the weights before calibration: by switch, reestimate_bn and equalize. */
struct base {
    struct eq_ptq ptq;
    struct eq_statistics *statistics; /* NULL: not made yet */
};

struct search {
    const struct eq_graph *trained;
    struct eq_calibration fit, judge;
    struct eq_observer_opts *observers; /* the settings' own first */
    int n_observers;
    struct base bases[4];
    double *reference; /* [judge.n]: FP32's EF */
    double variance;   /* of these */
    struct eq_ptq_opts best;
    double best_mse;
    int tries;
    struct cJSON *path;
};

/* ---- judging ------------------------------------------------------------- */

/* EF of the judging clips. */
static enum eq_status predict_judges(struct search *s, struct eq_predictor *p, double *ef, struct eq_err *err)
{
    const struct eq_clip_source *clips = &s->judge.source;
    enum eq_status st = clips->rewind(clips->ctx, err);
    for (size_t i = 0; st == EQ_OK && i < s->judge.n; i++) {
        const uint8_t *pixels;
        int n;
        float value = 0;
        if (eq_interrupted())
            return eq_fail(err, EQ_INTERRUPTED, "the search was interrupted after %d tries", s->tries);
        st = clips->next(clips->ctx, &pixels, &n, err);
        if (st == EQ_OK && n == 0)
            st = eq_fail(err, EQ_IO, "calibration clips ended after %zu of %zu", i, s->judge.n);
        if (st == EQ_OK)
            st = eq_predictor_run(p, pixels, &value, err);
        if (st == EQ_OK && !isfinite(value))
            st = eq_fail(err, EQ_NUMERIC, "%s: the predicted EF is not a finite number", clips->name(clips->ctx, 0));
        ef[i] = value;
    }
    return st;
}

static enum eq_status take_reference(struct search *s, struct eq_err *err)
{
    struct eq_predictor p = {0};
    enum eq_status st;
    double mean = 0;
    s->reference = eq_alloc(s->judge.n, sizeof *s->reference);
    if (!s->reference)
        return eq_fail(err, EQ_NOMEM, "out of memory for the search");
    EQ_TRY(eq_predictor_from_graph(&p, s->trained, EQ_PRECISION_FP32, 1, err));
    EQ_TRY(predict_judges(s, &p, s->reference, err));
    for (size_t i = 0; i < s->judge.n; i++)
        mean += s->reference[i] / (double)s->judge.n;
    for (size_t i = 0; i < s->judge.n; i++)
        s->variance += (s->reference[i] - mean) * (s->reference[i] - mean) / (double)s->judge.n;
out:
    eq_predictor_close(&p);
    return st;
}

static enum eq_status judge(struct search *s, const struct eq_graph *made, double *mse, struct eq_err *err)
{
    struct eq_predictor p = {0};
    struct eq_qmodel *model;
    enum eq_status st;
    double *ef = eq_alloc(s->judge.n, sizeof *ef);
    *mse = 0;
    if (!ef)
        return eq_fail(err, EQ_NOMEM, "out of memory for the search");
    EQ_TRY(eq_lower_int8(made, "ptq", &model, err));
    EQ_TRY(eq_predictor_from_qmodel(&p, model, 1, err));
    EQ_TRY(predict_judges(s, &p, ef, err));
    for (size_t i = 0; i < s->judge.n; i++)
        *mse += (ef[i] - s->reference[i]) * (ef[i] - s->reference[i]) / (double)s->judge.n;
out:
    eq_predictor_close(&p);
    eq_free(ef);
    return st;
}

/* ---- fitting ------------------------------------------------------------- */

static enum eq_status collect(struct search *s, const struct eq_ptq_opts *opts, struct base *b, struct eq_err *err)
{
    struct eq_progress progress = {0};
    enum eq_status st;
    EQ_TRY(eq_ptq_begin(opts, s->trained, &s->fit, &b->ptq, err));
    EQ_TRY(eq_check_zero_channels(b->ptq.graph, opts->zero_channels, err));
    eq_progress_begin(&progress, "observe", "clips", s->fit.n);
    EQ_TRY(eq_statistics_collect(b->ptq.graph, &s->fit.source, s->fit.n, s->observers, s->n_observers, &progress, NULL,
                                 &b->statistics, err));
out:
    eq_progress_end(&progress);
    return st;
}

static bool same_observer(const struct eq_observer_opts *a, const struct eq_observer_opts *b)
{
    return a->kind == b->kind && (a->kind != EQ_OBSERVER_PERCENTILE || a->percentile == b->percentile);
}

static int find_observer(const struct search *s, const struct eq_ptq_opts *opts)
{
    const struct eq_observer_opts wanted = eq_observer_opts_of(opts);
    int i = 0;
    while (i < s->n_observers - 1 && !same_observer(&s->observers[i], &wanted))
        i++;
    return i;
}

/* The squared error of one choice of settings. */
static enum eq_status measure(struct search *s, const struct eq_ptq_opts *opts, double *mse, struct eq_err *err)
{
    struct base *b = &s->bases[2 * opts->reestimate_bn + opts->equalize];
    struct eq_graph *made = NULL;
    enum eq_status st;
    if (!b->statistics)
        EQ_TRY(collect(s, opts, b, err));
    EQ_TRY(eq_graph_clone(b->ptq.graph, &made, err));
    EQ_TRY(eq_statistics_apply(b->statistics, find_observer(s, opts), made, err));
    EQ_TRY(eq_ptq_finish(opts, b->ptq.kept, made, &s->fit, err));
    EQ_TRY(judge(s, made, mse, err));
out:
    eq_graph_free(made);
    return st;
}

/* ---- the order of tries -------------------------------------------------- */

static void note(struct search *s, const char *what, double mse, bool better)
{
    struct cJSON *o = cJSON_CreateObject();
    double rms = sqrt(mse), sqnr = eq_sqnr_db(s->variance, mse);
    cJSON_AddStringToObject(o, "tried", what);
    cJSON_AddNumberToObject(o, "mse", mse);
    eq_json_add_real(o, "sqnr_db", sqnr);
    cJSON_AddBoolToObject(o, "kept", better);
    eq_json_add(cJSON_GetObjectItemCaseSensitive(s->path, "tries"), NULL, o);
    eq_info("search %2d  %-28s RMS difference %.4f EF points, SQNR %5.1f dB%s", s->tries, what, rms, sqnr,
            better ? "  <- best so far" : "");
}

static enum eq_status try(struct search *s, const struct eq_ptq_opts *opts, const char *what, struct eq_err *err)
{
    double mse;
    enum eq_status st = measure(s, opts, &mse, err);
    if (st != EQ_OK)
        return eq_err_context(err, "ptq.search, %s", what);
    bool better = s->tries == 0 || mse < s->best_mse;
    s->tries++;
    note(s, what, mse, better);
    if (better) {
        s->best = *opts;
        s->best_mse = mse;
    }
    return EQ_OK;
}

static enum eq_status list_observers(struct search *s, const struct eq_ptq_opts *opts, struct eq_err *err)
{
    struct eq_observer_opts one;
    size_t n = 0;
    while (eq_observer_candidate(n, opts->averaging, &one))
        n++;
    s->observers = eq_alloc(n + 1, sizeof *s->observers);
    if (!s->observers)
        return eq_fail(err, EQ_NOMEM, "out of memory for the search");
    s->observers[s->n_observers++] = eq_observer_opts_of(opts);
    for (size_t i = 0; eq_observer_candidate(i, opts->averaging, &one); i++)
        if (!same_observer(&one, &s->observers[0]))
            s->observers[s->n_observers++] = one;
    return EQ_OK;
}

static enum eq_status try_observers(struct search *s, const struct eq_ptq_opts *opts, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < s->n_observers && st == EQ_OK; i++) {
        struct eq_ptq_opts o = *opts;
        char what[64];
        o.observer = s->observers[i].kind;
        snprintf(what, sizeof what, "observer = %s", eq_observer_names[o.observer]);
        if (o.observer == EQ_OBSERVER_PERCENTILE) {
            o.percentile = s->observers[i].percentile;
            snprintf(what, sizeof what, "observer = percentile %.7g", o.percentile);
        }
        st = try(s, &o, what, err);
    }
    return st;
}

/* The other weight observer, then each switch the other way round. Bias correction and AdaRound exclude each other;
 * AdaRound rounds no weights of Winograd's domain. */
static enum eq_status try_switches(struct search *s, struct eq_err *err)
{
    struct eq_ptq_opts o = s->best;
    const struct {
        const char *name;
        bool *on, *excluded;
    } switches[] = {{"reestimate_bn", &o.reestimate_bn, NULL},
                    {"equalize", &o.equalize, NULL},
                    {"bias_correction", &o.bias_correction, &o.adaround},
                    {"adaround", &o.adaround, &o.bias_correction}};
    char what[64];
    o.weight_observer = o.weight_observer == EQ_WEIGHT_MSE ? EQ_WEIGHT_MINMAX : EQ_WEIGHT_MSE;
    snprintf(what, sizeof what, "weight_observer = %s", eq_weight_observer_names[o.weight_observer]);
    enum eq_status st = try(s, &o, what, err);
    size_t n = sizeof switches / sizeof *switches - (o.arithmetic == EQ_ARITHMETIC_WINOGRAD);
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        o = s->best;
        *switches[i].on = !*switches[i].on;
        if (switches[i].excluded)
            *switches[i].excluded = false;
        snprintf(what, sizeof what, "%s = %s", switches[i].name, *switches[i].on ? "true" : "false");
        st = try(s, &o, what, err);
    }
    return st;
}

static void clear(struct search *s)
{
    for (size_t i = 0; i < sizeof s->bases / sizeof *s->bases; i++) {
        eq_statistics_free(s->bases[i].statistics);
        eq_ptq_clear(&s->bases[i].ptq);
    }
    eq_free(s->observers);
    eq_free(s->reference);
    eq_calibration_close(&s->fit);
    eq_calibration_close(&s->judge);
    cJSON_Delete(s->path);
}

enum eq_status eq_ptq_search(struct eq_ptq_opts *opts, const struct eq_ptq_inputs *in, struct cJSON **path,
                             struct eq_err *err)
{
    enum eq_status st;
    *path = NULL;
    if (!opts->search)
        return EQ_OK;
    struct search s = {.trained = in->trained, .path = cJSON_CreateObject()};
    EQ_TRY(list_observers(&s, opts, err));
    EQ_TRY(eq_calibration_half(&in->clips, 0, &s.fit, err));
    EQ_TRY(eq_calibration_half(&in->clips, 1, &s.judge, err));
    cJSON_AddNumberToObject(s.path, "fit_clips", (double)s.fit.n);
    cJSON_AddNumberToObject(s.path, "judge_clips", (double)s.judge.n);
    cJSON_AddArrayToObject(s.path, "tries");
    EQ_TRY(take_reference(&s, err));
    EQ_TRY(try_observers(&s, opts, err));
    EQ_TRY(try_switches(&s, err));
    *opts = s.best;
    *path = s.path;
    s.path = NULL;
out:
    clear(&s);
    return st;
}
