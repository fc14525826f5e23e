/* statistics.json: every figure of the verdict with all its digits. This is the only place for its keys. */
#include "verdict/verdict.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

/* ---- the keys ------------------------------------------------------------- */

enum kind { REAL, COUNT, FLAG, TEXT, POINTER, MARGIN, PART, CUTS, MOVES, STRATA };
struct field {
    const char *key;
    enum kind kind;
    size_t at;
    const struct field *sub; /* of PART, CUTS and MOVES */
    size_t size;             /* of an item of CUTS and MOVES */
};

/* clang-format off */
#define R(type, member) {#member, REAL, offsetof(struct type, member), NULL, 0}
#define N(type, member) {#member, COUNT, offsetof(struct type, member), NULL, 0}
#define P(type, member, sub) {#member, PART, offsetof(struct type, member), sub, 0}
#define ITEMS(kind, type, member, sub)                                                                                 \
    {#member, kind, offsetof(struct type, member), sub, sizeof ((struct type *)0)->member[0]}
static const struct field boot[] = {
#define B(member) R(eq_boot, member)
    B(value), B(se), B(low), B(high), B(bca_low), B(bca_high), B(z0), B(acceleration), N(eq_boot, units),
    N(eq_boot, valid), {0}};
static const struct field boot_runs[] = {
#define S(member) R(eq_boot_runs, member)
    S(value), S(sd_runs), S(se_runs), S(se_clips), S(se_both), S(df), S(t_low), S(t_high), S(low), S(high),
    N(eq_boot_runs, units), N(eq_boot_runs, valid), {0}};
static const struct field metrics[] = {
    R(eq_metrics, mae), R(eq_metrics, rmse), R(eq_metrics, r2), R(eq_metrics, bias), N(eq_metrics, clips), {0}};
static const struct field share[] = {
    N(eq_share, count), N(eq_share, n), R(eq_share, share), R(eq_share, low), R(eq_share, high), {0}};
static const struct field line[] = {
#define L(member) R(eq_line, member)
    L(slope), L(slope_se), L(slope_low), L(slope_high), L(slope_p), L(intercept), L(intercept_se), L(intercept_low),
    L(intercept_high), L(r), L(residual_sd), {0}};
static const struct field agreement[] = {
#define A(member) R(eq_bland_altman, member)
    A(bias), A(bias_low), A(bias_high), A(sd), A(lower), A(lower_low), A(lower_high), A(upper), A(upper_low),
    A(upper_high), A(exact_lower_low), A(exact_lower_high), A(exact_upper_low), A(exact_upper_high),
    P(eq_bland_altman, over_mean, line), {0}};
static const struct field icc[] = {
    R(eq_icc, agreement), R(eq_icc, agreement_low), R(eq_icc, agreement_high), R(eq_icc, consistency),
    R(eq_icc, consistency_low), R(eq_icc, consistency_high), {0}};
static const struct field auc[] = {
    N(eq_auc, positives), N(eq_auc, negatives), R(eq_auc, auc), R(eq_auc, se), R(eq_auc, low), R(eq_auc, high), {0}};
static const struct field auc_pair[] = {
#define D(member) R(eq_auc_pair, member)
    D(difference), D(se), D(low), D(high), D(z), D(p), {0}};
static const struct field reclass[] = {
    N(eq_reclass, stay_below), N(eq_reclass, stay_above), N(eq_reclass, up), N(eq_reclass, down),
    R(eq_reclass, mcnemar_p), {0}};
static const struct field wilcoxon[] = {
#define W(member) R(eq_wilcoxon, member)
    N(eq_wilcoxon, n), N(eq_wilcoxon, zeros), W(plus), W(minus), W(z), W(p),
    {"method", POINTER, offsetof(struct eq_wilcoxon, method), NULL, 0}, W(hodges_lehmann), {0}};
static const struct field stratum[] = {
    R(eq_stratum, from), R(eq_stratum, to), P(eq_stratum, metrics, metrics), R(eq_stratum, mae_low),
    R(eq_stratum, mae_high), {0}};

#define T(member) {#member, TEXT, offsetof(struct eq_verdict_model, member), NULL, 0}
#define MODEL(member, sub) P(eq_verdict_model, member, sub)
static const struct field model_fields[] = {
    T(row), T(precision), MODEL(metrics, metrics), MODEL(mae, boot), MODEL(rmse, boot), MODEL(r2, boot),
    MODEL(bias, boot), MODEL(quality, boot), MODEL(outliers, share), MODEL(agreement, agreement), MODEL(icc, icc),
    MODEL(calibration, line), ITEMS(CUTS, eq_verdict_model, auc, auc), ITEMS(CUTS, eq_verdict_model, auc_boot, boot),
    {"strata", STRATA, offsetof(struct eq_verdict_model, strata), NULL, 0}, {0}};
#define PAIR(member, sub) P(eq_verdict_pair, member, sub)
#define DECISION(member) {#member, MARGIN, offsetof(struct eq_verdict_pair, member), NULL, 0}
static const struct field pair_fields[] = {
    PAIR(mae, boot), PAIR(rmse, boot), PAIR(r2, boot), DECISION(verdict), DECISION(verdict_bca),
    DECISION(verdict_stated), PAIR(wilcoxon, wilcoxon), R(eq_verdict_pair, wilcoxon_holm), R(eq_verdict_pair, rms),
    PAIR(agreement, agreement), PAIR(icc, icc), ITEMS(MOVES, eq_verdict_pair, moved, share),
    ITEMS(CUTS, eq_verdict_pair, auc, auc_pair), ITEMS(CUTS, eq_verdict_pair, reclass, reclass),
    PAIR(quality_ratio, boot), {"mlperf", FLAG, offsetof(struct eq_verdict_pair, mlperf), NULL, 0}, {0}};
static const struct field model_over_seeds[] = {
    T(row), T(precision), N(eq_verdict_model, runs), MODEL(over_mae, boot_runs), MODEL(over_rmse, boot_runs),
    MODEL(over_r2, boot_runs), MODEL(over_quality, boot_runs), {0}};
static const struct field pair_over_seeds[] = {
    N(eq_verdict_pair, runs), PAIR(over_mae, boot_runs), PAIR(over_rmse, boot_runs), PAIR(over_r2, boot_runs),
    DECISION(verdict), DECISION(verdict_bca), DECISION(verdict_stated), PAIR(over_quality_ratio, boot_runs),
    {"mlperf", FLAG, offsetof(struct eq_verdict_pair, mlperf), NULL, 0}, {0}};
/* clang-format on */

/* ---- writing --------------------------------------------------------------- */

static void add_fields(struct cJSON *to, const struct field *f, const void *from);

static void add_items(struct cJSON *to, const struct field *f, const char *at)
{
    struct cJSON *list = eq_json_add(to, f->key, cJSON_CreateArray());
    bool cuts = f->kind == CUTS;
    for (size_t i = 0; i < (cuts ? EQ_VERDICT_CUTS : EQ_VERDICT_MOVES); i++) {
        struct cJSON *item = eq_json_add(list, NULL, cJSON_CreateObject());
        eq_json_add_real(item, cuts ? "cut" : "by", cuts ? eq_verdict_cuts[i] : eq_verdict_moves[i]);
        add_fields(item, f->sub, at + i * f->size);
    }
}

static void add_strata(struct cJSON *to, const struct eq_verdict_strata *strata)
{
    static const char *const keys[EQ_STRATA_KINDS] = {"ef", "frames", "fps"};
    struct cJSON *all = eq_json_add(to, "strata", cJSON_CreateObject());
    for (int kind = 0; kind < EQ_STRATA_KINDS; kind++) {
        struct cJSON *list = eq_json_add(all, keys[kind], cJSON_CreateArray());
        for (size_t i = 0; i < strata[kind].n; i++)
            add_fields(eq_json_add(list, NULL, cJSON_CreateObject()), stratum, &strata[kind].list[i]);
    }
}

static void add_fields(struct cJSON *to, const struct field *f, const void *from)
{
    for (; f->key; f++) {
        const char *at = (const char *)from + f->at;
        switch (f->kind) {
        case REAL:
            eq_json_add(to, f->key, eq_json_new_real(*(const double *)at));
            break;
        case COUNT:
            eq_json_add(to, f->key, eq_json_new_real((double)*(const size_t *)at));
            break;
        case FLAG:
            eq_json_add(to, f->key, cJSON_CreateBool(*(const bool *)at));
            break;
        case TEXT:
            eq_json_add(to, f->key, cJSON_CreateString(at));
            break;
        case POINTER:
            eq_json_add(to, f->key, cJSON_CreateString(*(const char *const *)at));
            break;
        case MARGIN:
            eq_json_add(to, f->key, cJSON_CreateString(eq_margin_name(*(const enum eq_margin *)at)));
            break;
        case PART:
            add_fields(eq_json_add(to, f->key, cJSON_CreateObject()), f->sub, at);
            break;
        case STRATA:
            add_strata(to, (const struct eq_verdict_strata *)at);
            break;
        default:
            add_items(to, f, at);
        }
    }
}

static void add_clips(struct cJSON *to, const struct eq_verdict_clips *clips)
{
    eq_json_add_real(to, "clips", (double)clips->of.n);
    eq_json_add_real(to, "patients", (double)clips->patients);
}

static void add_models(struct cJSON *to, const struct eq_run_verdict *v, const struct field *of_model,
                       const struct field *of_pair)
{
    struct cJSON *models = eq_json_add(to, "models", cJSON_CreateArray());
    struct cJSON *pairs = eq_json_add(to, "pairs", cJSON_CreateArray());
    for (size_t i = 0; i < v->n_models; i++) {
        struct cJSON *o = eq_json_add(models, NULL, cJSON_CreateObject());
        add_clips(o, v->models[i].clips);
        add_fields(o, of_model, &v->models[i]);
    }
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        struct cJSON *o = eq_json_add(pairs, NULL, cJSON_CreateObject());
        eq_json_add(o, "model", cJSON_CreateString(v->models[p->a].row));
        eq_json_add(o, "minus", cJSON_CreateString(v->models[p->b].row));
        add_fields(o, of_pair, p);
    }
}

static void add_margin(struct cJSON *to, const struct eq_run_verdict *v)
{
    struct cJSON *margin = eq_json_add(to, "margin", cJSON_CreateObject());
    eq_json_add(margin, "points", eq_json_new_real(v->margin));
    eq_json_add(margin, "stated_points", eq_json_new_real(v->stated_margin));
    eq_json_add(margin, "stated", cJSON_CreateString(v->stated));
    eq_json_add(margin, "before_test",
                cJSON_CreateBool(!v->late && !isnan(v->stated_margin) && v->stated_margin == v->margin));
}

/* What the figures were computed with. */
static void add_method(struct cJSON *to, const struct eq_run_verdict *v)
{
    struct cJSON *method = eq_json_add(to, "bootstrap", cJSON_CreateObject());
    eq_json_add_real(method, "replicates", (double)v->replicates);
    eq_json_add_real(method, "seed", EQ_VERDICT_SEED);
    eq_json_add_real(method, "level", EQ_LEVEL);
    eq_json_add(to, "median", eq_json_new_real(v->median));
}

static void add_seeds(struct cJSON *to, const struct eq_run_verdict *v)
{
    struct cJSON *seeds = eq_json_add(to, "seeds", cJSON_CreateArray());
    for (size_t s = 0; s < v->n_seeds; s++) {
        struct cJSON *o = eq_json_add(seeds, NULL, cJSON_CreateObject());
        eq_json_add_real(o, "seed", v->seeds[s]);
        add_models(o, &v->of_seed[s], model_fields, pair_fields);
    }
}

static void add_words(struct cJSON *to, const struct eq_run_verdict *v)
{
    struct eq_str text = {0}, more = {0};
    eq_run_verdict_text(v, &text);
    eq_run_verdict_more(v, &more);
    eq_json_add(to, "verdict", cJSON_CreateString(text.s ? text.s : ""));
    eq_json_add(to, "notes", cJSON_CreateString(more.s ? more.s : ""));
    eq_str_clear(&text);
    eq_str_clear(&more);
}

struct cJSON *eq_run_verdict_json(const struct eq_run_verdict *v)
{
    struct cJSON *json = cJSON_CreateObject();
    eq_json_add(json, "format", cJSON_CreateString(EQ_STATISTICS_FORMAT));
    add_words(json, v);
    add_margin(json, v);
    add_method(json, v);
    if (v->n_seeds)
        add_models(json, v, model_over_seeds, pair_over_seeds);
    else
        add_models(json, v, model_fields, pair_fields);
    if (v->n_seeds)
        add_seeds(json, v);
    return json;
}

enum eq_status eq_run_verdict_write(const char *run_dir, const struct eq_run_verdict *v, struct eq_err *err)
{
    struct cJSON *json = eq_run_verdict_json(v);
    char *path = eq_path_join(run_dir, EQ_STATISTICS_FILE);
    enum eq_status st = eq_sealed_write(path, json, err);
    cJSON_Delete(json);
    free(path);
    return st;
}
