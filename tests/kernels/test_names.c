/* The one rule of kernels' names, <family>_<op>_<algorithm>__<isa>, and what the lists make of them. */
#include "kernels/checker.h"

/* family_op: how a name may begin; an algorithm of one word follows. */
static const char *const beginnings[] = {
    "f32_conv_forward_",  "f32_conv_backward_data_",  "f32_conv_backward_weights_",
    "bf16_conv_forward_", "bf16_conv_backward_data_", "bf16_conv_backward_weights_",
    "u8s8_conv_",
};

static bool follows_rule(const struct eq_conv_kernel *k)
{
    const char *isa = strstr(k->name, "__");
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t n = strlen(beginnings[i]), word;
        if (strncmp(k->name, beginnings[i], n) != 0)
            continue;
        word = strspn(k->name + n, "abcdefghijklmnopqrstuvwxyz0123456789");
        bool level = isa && (strcmp(isa + 2, eq_isa_name(k->isa)) == 0 ||
                             (k->isa == EQ_ISA_REF && strcmp(isa + 2, "blas") == 0));
        return level && word > 0 && k->name + n + word == isa;
    }
    return false;
}

static void names_follow_the_rule(void **state)
{
    (void)state;
    for (int i = 0; i < EVERY_KERNEL; i++) {
        if (!follows_rule(every_kernel[i]))
            fail_msg("%s breaks the rule of names", every_kernel[i]->name);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(every_kernel[i]->name, every_kernel[k]->name);
    }
    struct eq_conv_kernel wrong = *every_kernel[0];
    static const char *const bad[] = {"f32_conv_direct__ref", "u8s8_conv_direct__avx2", "f32_conv_forward_direct",
                                      "qs8_conv_direct__ref", "f32_conv_forward__ref"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wrong.name = bad[i];
        assert_false(follows_rule(&wrong));
    }
}

/* A select gives one of its own family's kernels, whatever the level. */
static void families_keep_apart(void **state)
{
    (void)state;
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++)
        for (int i = 0; i < CONV_SHAPES && use_isa((enum eq_isa)isa); i++) {
            struct eq_conv_shape s = shape_of(&conv_shapes[i]);
            assert_int_equal(strncmp(eq_u8s8_conv_select(&s, 3, NULL)->name, "u8s8_conv_", 10), 0);
            for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
                const struct eq_conv_kernel *f32 = eq_f32_conv_select((enum eq_conv_pass)pass, &s);
                const struct eq_conv_kernel *bf16 = eq_bf16_conv_select((enum eq_conv_pass)pass, &s);
                assert_int_equal(strncmp(f32->name, beginnings[pass], strlen(beginnings[pass])), 0);
                assert_int_equal(strncmp(bf16->name, beginnings[3 + pass], strlen(beginnings[3 + pass])), 0);
            }
        }
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
    eq_kernels_init();
}

/* A kernel that depends on the weights is never chosen without them. With AMX the direct one takes all. */
static void weights_decide(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    if (eq_cpu_has(EQ_ISA_AMX))
        assert_int_equal(eq_cpu_set_ceiling("avx512vnni", NULL), EQ_OK);
    eq_conv_shape_init(&s, 1, 16, 28, 28, 128, 128, 3, 1, 1, EQ_LAYOUT_PIXEL);
    assert_null(eq_u8s8_conv_select(&s, 0, NULL)->accepts);
    int8_t *weights = eq_alloc(weights_count(&s), 1);
    assert_non_null(weights);
    memset(weights, 1, weights_count(&s));
    assert_true(!eq_cpu_has(EQ_ISA_AVX2) || strstr(eq_u8s8_conv_select(&s, 0, weights)->name, "winograd"));
    memset(weights, 127, weights_count(&s)); /* 128 * 9 * 127 * 255 = 37307520 is beyond 26 bits */
    assert_null(eq_u8s8_conv_select(&s, 0, weights)->accepts);
    eq_free(weights);
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_rule),
        cmocka_unit_test(families_keep_apart),
        cmocka_unit_test(weights_decide),
    };
    eq_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
