/* Optimizers over lists of parameters; the loops are kernels. */
#include "echoquant/nn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum eq_status eq_optim_init(struct eq_optim *o, const struct eq_optim_opts *opts, size_t n_params, const size_t *n,
                             struct eq_err *err)
{
    bool adam = opts->kind == EQ_OPTIM_ADAMW;
    *o = (struct eq_optim){.opts = *opts, .n_params = n_params};
    o->n = calloc(n_params ? n_params : 1, sizeof(*o->n));
    o->m = calloc(n_params ? n_params : 1, sizeof(*o->m));
    o->v = adam ? calloc(n_params ? n_params : 1, sizeof(*o->v)) : NULL;
    bool ok = o->n && o->m && (o->v || !adam);
    for (size_t i = 0; ok && i < n_params; i++) {
        o->n[i] = n[i];
        o->m[i] = eq_alloc(n[i], sizeof(float));
        if (adam)
            o->v[i] = eq_alloc(n[i], sizeof(float));
        ok = o->m[i] && (!adam || o->v[i]);
    }
    if (ok)
        return EQ_OK;
    eq_optim_clear(o);
    return eq_fail(err, EQ_NOMEM, "out of memory for the optimizer's state");
}

void eq_optim_clear(struct eq_optim *o)
{
    for (size_t i = 0; i < o->n_params; i++) {
        if (o->m)
            eq_free(o->m[i]);
        if (o->v)
            eq_free(o->v[i]);
    }
    free(o->m);
    free(o->v);
    free(o->n);
    memset(o, 0, sizeof(*o));
}

void eq_optim_step(struct eq_optim *o, float *const *params, float *const *grads, const bool *decay, double lr)
{
    const struct eq_f32_table *k = eq_f32_kernels();
    const struct eq_optim_opts *p = &o->opts;
    o->step++;
    double c1 = 1 - pow(p->beta1, (double)o->step), c2 = 1 - pow(p->beta2, (double)o->step);
    for (size_t i = 0; i < o->n_params; i++) {
        float wd = decay[i] ? (float)p->weight_decay : 0.0f;
        if (p->kind == EQ_OPTIM_ADAMW)
            k->adamw_step(params[i], grads[i], o->m[i], o->v[i], o->n[i], (float)lr, (float)p->beta1, (float)p->beta2,
                          (float)p->eps, wd, (float)c1, (float)c2);
        else
            k->sgd_step(params[i], grads[i], o->m[i], o->n[i], (float)lr, (float)p->momentum, wd);
    }
}

struct scale_job {
    float *x;
    float by;
};

static void scale_span(const void *ctx, size_t lo, size_t hi)
{
    const struct scale_job *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->x[i] *= j->by;
}

double eq_clip_grad_norm(float *const *grads, const size_t *n, size_t n_params, double max_norm)
{
    double sum = 0;
    for (size_t i = 0; i < n_params; i++)
        sum += eq_f32_kernels()->sum_squares(grads[i], n[i]);
    double norm = sqrt(sum);
    if (max_norm <= 0 || !isfinite(norm) || norm <= max_norm)
        return norm;
    for (size_t i = 0; i < n_params; i++) /* + 1e-6: torch.nn.utils.clip_grad_norm_ */
        eq_for_spans(n[i], scale_span, &(struct scale_job){grads[i], (float)(max_norm / (norm + 1e-6))});
    return norm;
}
