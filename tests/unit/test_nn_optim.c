/* Losses, schedules and optimizers against values that PyTorch 2.15 gives in float64. */
#include "model_support.h"

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * fmax(1e-6, fabs(want))))
        fail_msg("%.12g, expected %.12g", got, want);
}

/* torch.nn.{MSE,L1,Huber}Loss of (pred / 8, target / 8). */
static void losses(void **state)
{
    (void)state;
    const float pred[4] = {50, 60, 70, 55}, target[4] = {55, 50, 70, 40};
    const double loss[3] = {1.3671875, 0.9375, 0.580078125};
    const double slope[3][4] = {
        {-0.0390625, 0.078125, 0, 0.1171875}, {-0.03125, 0.03125, 0, 0.03125}, {-0.01953125, 0.03125, 0, 0.03125}};
    for (int kind = 0; kind < 3; kind++) {
        float diff[4];
        near(eq_loss_forward((enum eq_loss)kind, pred, target, 4, 8, diff), loss[kind], 1e-12);
        near(eq_loss_forward((enum eq_loss)kind, pred, target, 4, 8, NULL), loss[kind], 1e-12);
        for (int i = 0; i < 4; i++)
            near(diff[i], slope[kind][i], 1e-7);
    }
    const float broken[1] = {NAN};
    float diff[1];
    for (int kind = 0; kind < 3; kind++) /* the caller must be able to see it */
        assert_true(isnan(eq_loss_forward((enum eq_loss)kind, broken, target, 1, 8, diff)) && isnan(diff[0]));
}

/* The gradient of the mixed loss against finite differences, away from the kinks of L1. */
static void distillation(void **state)
{
    (void)state;
    const float pred[4] = {50, 60, 71, 55}, target[4] = {55, 50, 70, 40}, teacher[4] = {44, 63, 69, 52};
    for (int kind = 0; kind < 3; kind++)
        for (int w = 0; w <= 4; w++) {
            const double weight = w / 4.0, h = 1.0 / 64;
            float diff[4], moved[4];
            double loss = eq_loss_distill((enum eq_loss)kind, pred, target, teacher, weight, 4, 8, diff);
            near(loss,
                 (1 - weight) * eq_loss_forward((enum eq_loss)kind, pred, target, 4, 8, NULL) +
                     weight * eq_loss_forward((enum eq_loss)kind, pred, teacher, 4, 8, NULL),
                 1e-12);
            for (int i = 0; i < 4; i++) {
                double side[2];
                for (int s = 0; s < 2; s++) {
                    memcpy(moved, pred, sizeof moved);
                    moved[i] += (float)(s ? h : -h);
                    side[s] = eq_loss_distill((enum eq_loss)kind, moved, target, teacher, weight, 4, 8, NULL);
                }
                near(diff[i], (side[1] - side[0]) / (2 * h), 1e-5);
            }
        }
}

static void onecycle(void **state)
{
    (void)state;
    const double ten[10] = {0.0008,          0.0104,           0.02,           0.0190096926403,   0.016234913079,
                            0.0122252404387, 0.00777483956127, 0.003765166921, 0.000990387359731, 8e-08};
    const double seven[7] = {
        0.0008, 0.0196111325467, 0.0183808875254, 0.0134536767296, 0.00715477551479, 0.00198593583787, 8e-08};
    for (size_t i = 0; i < 10; i++)
        near(eq_schedule_lr(EQ_SCHEDULE_ONECYCLE, 0.02, i, 10, 0), ten[i], 1e-11);
    for (size_t i = 0; i < 7; i++)
        near(eq_schedule_lr(EQ_SCHEDULE_ONECYCLE, 0.02, i, 7, 0), seven[i], 1e-11);
    near(eq_schedule_lr(EQ_SCHEDULE_ONECYCLE, 0.02, 15, 100, 0), 0.0109197335224, 1e-11);
    near(eq_schedule_lr(EQ_SCHEDULE_ONECYCLE, 0.02, 65, 100, 0), 0.00955139349109, 1e-11);
    near(eq_schedule_lr(EQ_SCHEDULE_ONECYCLE, 0.02, 250, 100, 0), 8e-08, 1e-11); /* beyond the end: as at the end */
    for (size_t total = 1; total < 5; total++)
        for (size_t i = 0; i < total; i++)
            assert_true(isfinite(eq_schedule_lr(EQ_SCHEDULE_ONECYCLE, 0.02, i, total, 0)));
}

static void cosine_and_constant(void **state)
{
    (void)state;
    enum eq_schedule cosine = EQ_SCHEDULE_COSINE, constant = EQ_SCHEDULE_CONSTANT;
    near(eq_schedule_lr(cosine, 0.1, 0, 20, 0), 0.1, 1e-12);
    near(eq_schedule_lr(cosine, 0.1, 10, 20, 0), 0.05, 1e-12);
    near(eq_schedule_lr(cosine, 0.1, 15, 20, 0), 0.05 * (1 + cos(0.75 * 3.14159265358979323846)), 1e-12);
    for (size_t i = 0; i < 4; i++) {
        near(eq_schedule_lr(cosine, 0.1, i, 24, 4), 0.1 * (double)(i + 1) / 4, 1e-12);
        near(eq_schedule_lr(constant, 0.1, i, 24, 4), 0.1 * (double)(i + 1) / 4, 1e-12);
    }
    near(eq_schedule_lr(cosine, 0.1, 14, 24, 4), 0.05, 1e-12);
    near(eq_schedule_lr(constant, 0.1, 14, 24, 4), 0.1, 1e-12);
    assert_true(eq_schedule_lr(cosine, 0.1, 23, 24, 4) > 0);
    near(eq_schedule_lr(cosine, 0.1, 0, 1, 5), 0.02, 1e-12); /* a warm-up longer than the run */
}

/* torch.optim on w (decayed) and b (not), gradients growing with the step. */
static void steps_like_pytorch(const struct eq_optim_opts *opts, const double want[3][4])
{
    float w[3] = {1.0f, -2.0f, 0.5f}, b[1] = {0.3f}, dw[3], db[1];
    float *params[2] = {w, b}, *grads[2] = {dw, db};
    const size_t n[2] = {3, 1};
    const bool decay[2] = {true, false};
    struct eq_optim o;
    assert_ok(eq_optim_init(&o, opts, 2, n, &err));
    for (int k = 0; k < 3; k++) {
        dw[0] = 0.5f * (float)(k + 1);
        dw[1] = -1.0f * (float)(k + 1);
        dw[2] = 0;
        db[0] = -2.0f + (float)k;
        eq_optim_step(&o, params, grads, decay, opts->lr);
        for (int i = 0; i < 3; i++)
            near(w[i], want[k][i], 5e-7);
        near(b[0], want[k][3], 5e-7);
    }
    assert_int_equal(o.step, 3);
    eq_optim_clear(&o);
}

static void adamw(void **state)
{
    (void)state;
    const double want[3][4] = {{0.98900002, -1.98800001, 0.4995, 0.309999995},
                               {0.9783722833, -1.976373267, 0.4990005, 0.3193344691},
                               {0.9678385795, -1.964841558, 0.4985014995, 0.3265664624}};
    struct eq_optim_opts opts = {
        .kind = EQ_OPTIM_ADAMW, .lr = 0.01, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6};
    steps_like_pytorch(&opts, want);
}

static void sgd(void **state)
{
    (void)state;
    const double want[3][4] = {{0.994, -1.988, 0.4995, 0.32},
                               {0.977606, -1.955212, 0.4985505, 0.348},
                               {0.946873794, -1.893747588, 0.4971973995, 0.3732}};
    struct eq_optim_opts opts = {.kind = EQ_OPTIM_SGD, .lr = 0.01, .weight_decay = 0.1, .momentum = 0.9};
    steps_like_pytorch(&opts, want);
}

/* torch.nn.utils.clip_grad_norm_ */
static void clipping(void **state)
{
    (void)state;
    float a[3] = {3, 4, 0}, b[1] = {12}, *grads[2] = {a, b};
    const size_t n[2] = {3, 1};
    near(eq_clip_grad_norm(grads, n, 2, 0), 13, 1e-12);
    near(eq_clip_grad_norm(grads, n, 2, 20), 13, 1e-12);
    near(a[1], 4, 0);
    near(eq_clip_grad_norm(grads, n, 2, 6.5), 13, 1e-12);
    near(a[0], 1.49999988, 1e-7);
    near(a[1], 1.99999988, 1e-7);
    near(b[0], 5.99999952, 1e-7);
    b[0] = INFINITY;
    assert_true(isinf(eq_clip_grad_norm(grads, n, 2, 1)));
    b[0] = NAN;
    assert_true(isnan(eq_clip_grad_norm(grads, n, 2, 1)));
    near(a[0], 1.49999988, 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses),   cmocka_unit_test(distillation),
        cmocka_unit_test(onecycle), cmocka_unit_test(cosine_and_constant),
        cmocka_unit_test(adamw),    cmocka_unit_test(sgd),
        cmocka_unit_test(clipping),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
