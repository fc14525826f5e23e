/* train.seeds: run directories below one run directory, and what is said over all of them. */
#ifndef RUN_SEEDS_H
#define RUN_SEEDS_H

#include "run/report.h"

/* <run_dir>/seed-<seed>; free() */
char *eq_seed_dir(const char *run_dir, int seed);
/* The folders of that name that are there; eq_names_free. */
enum eq_status eq_seed_dirs(const char *run_dir, char ***names, size_t *n, struct eq_err *err);

/* Makes <run_dir>/results.json from those of the seeds that have one; EQ_IO when none has. A row is the first seed's
 * with means for its numbers, and "over_seeds" {n, mae, rmse, r2: {mean, sd, min, max, values}}; beside models[] there
 * are "seeds" [{seed, dir}] and "differences" [{model, minus, n, mean, sd, low, high, min, max, values}] of MAE,
 * paired by seed: each model against FP32, QAT also against FP32+. */
enum eq_status eq_seeds_collect(const char *run_dir, int first, int n, struct eq_err *err);
/* Whether results.json is what eq_seeds_collect would make, of all seeds. */
bool eq_seeds_are_collected(const struct eq_config *cfg);

/* Mean, standard deviation (n - 1), range, and the 95 % interval of the mean by Student's t: mean +- t(0.975, n - 1)
 * sd / sqrt(n). sd, low and high are NaN below two values. */
struct eq_spread {
    size_t n;
    double mean, sd, low, high, min, max;
};
struct eq_spread eq_spread_of(const double *v, size_t n);
/* The quantile p in (0, 1) of Student's t distribution with df > 0 degrees of freedom. */
double eq_student_t_quantile(double p, double df);

/* seeds_text.c: for results.json of several seeds; nothing for that of one. Clear tables with eq_table_clear. */
bool eq_seeds_has(const struct cJSON *results);
enum eq_status eq_seeds_tables(const struct cJSON *results, struct eq_table *models, struct eq_table *differences,
                               struct eq_err *err);
/* "Over 3 seeds (1, 2, 3)" */
void eq_seeds_title(const struct cJSON *results, struct eq_str *out);
/* What the numbers are, and what they are not. */
extern const char eq_seeds_note[];
/* Title and both tables as Markdown. */
void eq_seeds_print(const struct cJSON *results, const struct eq_table *models, const struct eq_table *differences,
                    struct eq_str *out);

#endif
