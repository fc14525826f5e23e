/* history/<name>.csv, with a row for each epoch and, where it is weighed, for the start (epoch 0, whose rate, loss, and
 * norms are nan); and the signature of a training state. Files of version 0.1.0 lack the norms. */
#include "train/trainer.h"

#include <stdlib.h>

static enum eq_status write_rows(const struct eq_trainer *t, struct eq_err *err)
{
    struct eq_str text = {0};
    char *path = eq_format("%s/history/%s.csv", t->job.cfg->run.dir, t->job.name);
    eq_str_add(&text, "epoch,lr,train_loss,val_mae,val_rmse,grad_norm,grad_norm_max,seconds,waited\n");
    for (int i = 0; i < t->n_history; i++) {
        const struct eq_epoch_row *r = &t->history[i];
        eq_str_add(&text, "%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.3f,%.3f\n", r->epoch, r->lr, r->train_loss, r->val_mae,
                   r->val_rmse, r->grad_norm, r->grad_norm_max, r->seconds, r->waited);
    }
    enum eq_status st = eq_write_file(path, text.s, text.len, err);
    eq_str_clear(&text);
    free(path);
    return st;
}

enum eq_status eq_history_write(const struct eq_trainer *t, struct eq_err *err)
{
    enum eq_status st = eq_first_begin() ? write_rows(t, err) : EQ_OK;
    return eq_first_end(st, NULL, 0, err);
}

void eq_signature_add(const struct eq_config *cfg, const struct eq_dataset *ds, const char *const *sections,
                      struct eq_str *out)
{
    eq_settings_fingerprint(cfg, sections, out);
    eq_str_add(out, "isa=%s\n", eq_cpu_isa_in_use());
    uint64_t hash = 0;
    for (size_t i = 0; i < ds->n; i++) {
        const struct eq_sample *s = &ds->samples[i];
        struct eq_str row = {0};
        eq_str_add(&row, "%llu %s %d %.17g", (unsigned long long)hash, s->file_name, (int)s->split, s->ef);
        hash = eq_hash64(row.s, row.len);
        eq_str_clear(&row);
    }
    eq_str_add(out, "FileList.csv=%016llx (%zu clips)\n", (unsigned long long)hash, ds->n);
}
