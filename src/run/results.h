/* results.json for the files that read it: run_dir, the table, the report. */
#ifndef RUN_RESULTS_H
#define RUN_RESULTS_H

#include "echoquant/run.h"

/* A row's "model"; NULL when it is no row. */
const char *eq_results_model_name(const struct cJSON *row);
/* The digest of the data that a row is of; NULL: it has none. */
const char *eq_results_data(const struct cJSON *row);
/* The row of a model in a document that eq_results_read gave; NULL: none. */
const struct cJSON *eq_results_find_model(const struct cJSON *results, const char *name);
/* The same in models[] itself. */
const struct cJSON *eq_results_list_find(const struct cJSON *models, const char *name);
/* A document without models. Delete with cJSON_Delete. */
struct cJSON *eq_results_new(void);
/* Puts a row, which models takes over, into models[] where the table has it. */
void eq_results_insert_row(struct cJSON *models, struct cJSON *row);
/* Takes a row out of results.json, if both are there. */
enum eq_status eq_results_drop_model(const char *run_dir, const char *name, struct eq_err *err);
/* A number, or null where value is NaN or infinite. */
void eq_results_add_real(struct cJSON *object, const char *key, double value);

#endif
