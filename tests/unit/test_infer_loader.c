/* What the settings make of a loader. */
#include "cmocka_all.h"

#include "echoquant/infer.h"

static void assert_workers(const struct eq_config *cfg, int threads, int workers)
{
    struct eq_err err;
    assert_int_equal(eq_parallel_init(threads, &err), EQ_OK);
    assert_int_equal(eq_run_loader_opts(cfg, 1).workers, workers);
}

static void workers_follow_the_threads_or_the_setting(void **state)
{
    (void)state;
    struct eq_settings s;
    assert_int_equal(eq_settings_init(&s, NULL), EQ_OK);
    assert_workers(&s.config, 1, 1);
    assert_workers(&s.config, 2, 1);
    assert_workers(&s.config, 7, 1);
    assert_workers(&s.config, 8, 2);
    assert_workers(&s.config, 16, 4);
    assert_workers(&s.config, 64, 8);
    assert_int_equal(eq_settings_set(&s, "data.workers", "5", "--set", NULL), EQ_OK);
    assert_workers(&s.config, 64, 5);
    assert_workers(&s.config, 1, 5);
    eq_parallel_shutdown();
    eq_settings_clear(&s);
}

static void caches_are_passed_on(void **state)
{
    (void)state;
    struct eq_settings s;
    assert_int_equal(eq_settings_init(&s, NULL), EQ_OK);
    struct eq_loader_opts o = eq_run_loader_opts(&s.config, 3);
    assert_string_equal(o.cache_dir, "");
    assert_int_equal(o.cache_bytes, 256 << 20);
    assert_int_equal(eq_settings_set(&s, "data.cache_dir", "kept", "--set", NULL), EQ_OK);
    assert_int_equal(eq_settings_set(&s, "data.cache_gb", "2.5", "--set", NULL), EQ_OK);
    assert_int_equal(eq_settings_set(&s, "data.cache_mb", "0", "--set", NULL), EQ_OK);
    o = eq_run_loader_opts(&s.config, 3);
    assert_string_equal(o.cache_dir, "kept");
    assert_true(o.cache_dir_bytes == (uint64_t)5 << 29);
    assert_int_equal(o.cache_bytes, 0);
    assert_int_equal(o.batch, 3);
    eq_settings_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_follow_the_threads_or_the_setting),
        cmocka_unit_test(caches_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
