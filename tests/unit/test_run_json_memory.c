/* Memory that runs out while JSON is built, printed or parsed: an error and the old file, or the whole new one. Every
 * allocation of cJSON fails once, by way of the hooks that the library installs: this program stands in front of
 * cJSON_InitHooks. */
#include "echoquant/run.h"
#include "unit/quant_resnet.h"
#include "unit/scratch_dir.h"

#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static cJSON_Hooks library = {malloc, free}; /* what the library installs */
static size_t calls, fail_at;                /* 0: none */

/* A request that no allocator grants stands for the one that fails. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void *counted_malloc(size_t n)
{
    return library.malloc_fn(++calls == fail_at ? SIZE_MAX / 4 : n);
}

void cJSON_InitHooks(cJSON_Hooks *hooks)
{
    cJSON_Hooks ours = {.malloc_fn = counted_malloc, .free_fn = hooks->free_fn};
    void *next = dlsym(RTLD_NEXT, "cJSON_InitHooks");
    void (*real)(cJSON_Hooks *);
    memcpy(&real, &next, sizeof real);
    library = *hooks;
    real(&ours);
}

struct bytes {
    void *data;
    size_t len;
};

static struct bytes read_bytes(const char *path)
{
    struct bytes b;
    assert_ok(eq_read_file(path, 1 << 24, &b.data, &b.len, e_));
    return b;
}

static bool holds(const char *path, const struct bytes *wanted)
{
    struct bytes b = read_bytes(path);
    bool same = b.len == wanted->len && memcmp(b.data, wanted->data, b.len) == 0;
    eq_free(b.data);
    return same;
}

typedef enum eq_status (*save_fn)(const char *path, const void *ctx, struct eq_err *err);

/* Saves over old once for each allocation that it makes, and that one fails. */
static void sweep(const char *name, const struct bytes *old, save_fn save, const void *ctx)
{
    char *path = eq_path_join(dir, name);
    assert_ok(eq_write_file(path, old->data, old->len, e_));
    calls = 0;
    assert_ok(save(path, ctx, e_));
    size_t n = calls, failed = 0;
    struct bytes whole = read_bytes(path);
    assert_true(n > 20);
    assert_false(holds(path, old));
    for (size_t i = 1; i <= n; i++) {
        struct eq_err err = {0};
        if (!holds(path, old))
            assert_ok(eq_write_file(path, old->data, old->len, e_));
        calls = 0;
        fail_at = i;
        enum eq_status st = save(path, ctx, &err);
        fail_at = 0;
        eq_memory_forget();
        if (!holds(path, st == EQ_OK ? &whole : old))
            fail_msg("%s, allocation %zu of %zu: status %d (%s), and the file is damaged", name, i, n, st, err.msg);
        if (st != EQ_OK && (st != EQ_NOMEM || !strstr(err.msg, "out of memory")))
            fail_msg("%s, allocation %zu of %zu: status %d, %s", name, i, n, st, err.msg);
        failed += st != EQ_OK;
        if (i % 16 == 0)
            assert_ok(save(path, ctx, e_)); /* told once */
    }
    assert_true(failed > n / 2);
    eq_free(whole.data);
    free(path);
}

static char old_text[] = "{\"origin\": {}}";
static const struct bytes old_file = {old_text, sizeof old_text - 1};

static enum eq_status save_fp32(const char *path, const void *ctx, struct eq_err *err)
{
    return eq_model_save(path, ctx, err);
}

static void an_fp32_model_is_whole_or_the_old_one(void **state)
{
    (void)state;
    struct eq_graph *g;
    assert_ok(eq_resnet18_new(&small, 8, 2, &g, e_));
    sweep("fp32.safetensors", &old_file, save_fp32, g);
    eq_graph_free(g);
}

static enum eq_status save_int8(const char *path, const void *ctx, struct eq_err *err)
{
    return eq_qmodel_save(path, ctx, err);
}

static void an_int8_model_is_whole_or_the_old_one(void **state)
{
    (void)state;
    struct eq_graph *net = random_net(11);
    struct noise_clips clips;
    struct eq_qmodel *m;
    noise_clips_init(&clips, 1, 2, net->meta.frames, net->meta.size);
    struct eq_graph *g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, &clips);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    m->recipe = eq_strdup("{\"clips\":64,\"per_channel\":true}");
    sweep("ptq.safetensors", &old_file, save_int8, m);
    eq_qmodel_free(m);
    eq_graph_free(g);
    free(clips.pixels);
}

static enum eq_status put_row(const char *name, struct eq_err *err)
{
    struct eq_results r;
    struct eq_result row = eq_result_of(NULL);
    struct cJSON *recipe = cJSON_Parse("{\"clips\": 64}");
    enum eq_status st;
    row.model = name;
    row.precision = "INT8";
    row.mae = 5.25;
    row.recipe = recipe;
    row.latency.median = 1.5;
    EQ_TRY(eq_results_open(dir, &r, err));
    eq_results_put(&r, &row);
    EQ_TRY(eq_results_write(dir, &r, err));
out:
    eq_results_clear(&r);
    cJSON_Delete(recipe);
    return st;
}

static enum eq_status save_row(const char *path, const void *ctx, struct eq_err *err)
{
    (void)path, (void)ctx;
    return put_row("PTQ", err);
}

static void results_keep_their_rows(void **state)
{
    (void)state;
    static const char *const names[] = {"FP32", "QAT", "FP32+", "Median"};
    for (int i = 0; i < 4; i++)
        assert_ok(put_row(names[i], e_));
    char *path = eq_path_join(dir, "results.json");
    struct bytes old = read_bytes(path);
    sweep("results.json", &old, save_row, NULL);
    eq_free(old.data);
    free(path);
}

static enum eq_status save_settings(const char *path, const void *ctx, struct eq_err *err)
{
    return eq_settings_save(ctx, NULL, path, err);
}

static void settings_are_whole_or_the_old_ones(void **state)
{
    struct eq_settings s;
    (void)state;
    assert_ok(eq_settings_init(&s, e_));
    sweep("config.json", &old_file, save_settings, &s);
    eq_settings_clear(&s);
}

/* Not the file's fault. */
static void a_parse_without_memory_says_so(void **state)
{
    static const char text[] = "{\"a\": [1, 2, \"three\"], \"b\": {\"c\": null}}";
    struct cJSON *json;
    (void)state;
    calls = 0;
    assert_ok(eq_json_parse(text, strlen(text), "a.json", &json, e_));
    cJSON_Delete(json);
    for (size_t i = 1, n = calls; i <= n; i++) {
        struct eq_err err = {0};
        calls = 0;
        fail_at = i;
        enum eq_status st = eq_json_parse(text, strlen(text), "a.json", &json, &err);
        fail_at = 0;
        eq_memory_forget();
        assert_int_equal(st, EQ_NOMEM);
        assert_null(json);
        assert_non_null(strstr(err.msg, "a.json: out of memory"));
        assert_int_equal(eq_json_check(NULL), EQ_OK); /* nothing else has a hole */
    }
}

/* What a document lost is told when it is printed, whatever was parsed between. */
static void a_hole_is_told_when_the_document_is_printed(void **state)
{
    struct eq_err err = {0};
    struct eq_str text = {0};
    struct cJSON *json = cJSON_CreateObject(), *other;
    (void)state;
    calls = 0;
    fail_at = 1;
    cJSON_AddNumberToObject(json, "lost", 1);
    fail_at = 0;
    eq_memory_forget();
    cJSON_AddNumberToObject(json, "kept", 2);
    assert_ok(eq_json_parse("[1]", 3, "other", &other, e_));
    cJSON_Delete(other);
    assert_int_equal(eq_json_print(&text, json, &err), EQ_NOMEM);
    assert_non_null(strstr(err.msg, "out of memory"));
    assert_null(text.s);
    cJSON_AddNumberToObject(json, "lost", 1);
    assert_ok(eq_json_print_line(&text, json, e_));
    assert_string_equal(text.s, "{\"kept\":2,\"lost\":1}");
    cJSON_Delete(json);
    eq_str_clear(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    eq_kernels_init();
    if (eq_parallel_init(1, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(an_fp32_model_is_whole_or_the_old_one),
        TEST(an_int8_model_is_whole_or_the_old_one),
        TEST(results_keep_their_rows),
        TEST(settings_are_whole_or_the_old_ones),
        TEST(a_parse_without_memory_says_so),
        TEST(a_hole_is_told_when_the_document_is_printed),
    };
    return cmocka_run_group_tests_name("JSON without memory", tests, NULL, NULL);
}
