/* The table of settings: every row can be set, refuses what lies outside its range, and stands in docs/CONFIG.md and in
 * --help as it is. */
#include "cmocka_all.h"

#include "settings/table.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static struct eq_settings settings;

static int setup(void **state)
{
    (void)state;
    return eq_settings_init(&settings, NULL) == EQ_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    eq_settings_clear(&settings);
    return 0;
}

static void assert_refused(const char *key, const char *value, const char *in_message)
{
    struct eq_err err = {0};
    assert_int_equal(eq_settings_set(&settings, key, value, "--set", &err), EQ_USAGE);
    if (!strstr(err.msg, in_message))
        fail_msg("\"%s\" lacks \"%s\"", err.msg, in_message);
}

static void assert_json_refused(const char *text, const char *in_message)
{
    struct eq_err err = {0};
    assert_int_equal(eq_settings_parse(&settings, text, strlen(text), "x.json", &err), EQ_USAGE);
    if (!strstr(err.msg, in_message) || strncmp(err.msg, "x.json", 6) != 0)
        fail_msg("\"%s\" lacks \"%s\"", err.msg, in_message);
}

static void test_keys_are_distinct_and_sections_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < eq_setting_count; i++) {
        const char *key = eq_setting_table[i].key;
        assert_non_null(strchr(key, '.'));
        assert_true(strlen(eq_setting_table[i].help) > 5);
        for (size_t j = i + 1; j < eq_setting_count; j++) {
            assert_string_not_equal(key, eq_setting_table[j].key);
            assert_int_not_equal(eq_setting_table[i].offset, eq_setting_table[j].offset);
            size_t len = strcspn(key, ".") + 1;
            if (strncmp(key, eq_setting_table[j].key, len) == 0)
                assert_memory_equal(key, eq_setting_table[j - 1].key, len);
        }
    }
}

/* A number as --set takes it. */
static void number_text(double value, char text[64])
{
    snprintf(text, 64, "%.17g", value);
}

static void test_ranges_hold_at_both_ends(void **state)
{
    (void)state;
    char text[64];
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        if (row->type != EQ_SETTING_INT && row->type != EQ_SETTING_REAL)
            continue;
        bool whole = row->type == EQ_SETTING_INT;
        number_text(row->max, text);
        assert_int_equal(eq_settings_set(&settings, row->key, text, "--set", NULL), EQ_OK);
        number_text(whole ? row->max + 1 : nextafter(row->max, INFINITY), text);
        assert_refused(row->key, text, row->key);
        number_text(row->min, text);
        if (row->above_min)
            assert_refused(row->key, text, "above");
        else
            assert_int_equal(eq_settings_set(&settings, row->key, text, "--set", NULL), EQ_OK);
        number_text(whole ? row->min - 1 : nextafter(row->min, -INFINITY), text);
        assert_refused(row->key, text, row->key);
        if (whole)
            assert_refused(row->key, "1.5", "a whole number");
        assert_refused(row->key, "many", "many");
        assert_refused(row->key, "", row->key);
        assert_refused(row->key, "nan", row->key);
    }
}

static void test_choices_and_switches(void **state)
{
    (void)state;
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        if (row->type == EQ_SETTING_ENUM) {
            struct eq_str text = {0};
            for (int c = 0; row->choices[c]; c++) {
                assert_int_equal(eq_settings_set(&settings, row->key, row->choices[c], "--set", NULL), EQ_OK);
                text.len = 0;
                eq_setting_print(row, &settings.config, &text);
                assert_string_equal(text.s, row->choices[c]);
            }
            eq_str_clear(&text);
            assert_refused(row->key, "nonsense", row->choices[0]);
        } else if (row->type == EQ_SETTING_BOOL) {
            assert_refused(row->key, "yes", "true or false");
        }
    }
}

static void test_choice_names_are_those_of_the_floors(void **state)
{
    (void)state;
    const struct eq_setting *row = eq_setting_find("ptq.observer");
    for (int i = 0; i < EQ_OBSERVER_COUNT; i++)
        assert_string_equal(row->choices[i], eq_observer_names[i]);
    assert_null(row->choices[EQ_OBSERVER_COUNT]);
}

static void test_unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    assert_refused("data.framse", "8", "did you mean data.frames?");
    assert_refused("frames", "8", "did you mean data.frames?");
    assert_refused("epochs", "8", "did you mean train.epochs or qat.epochs?");
    assert_refused("epocs", "8", "did you mean train.epochs or qat.epochs?");
    assert_refused("weight-decay", "8", "did you mean train.weight_decay or qat.weight_decay?");
    assert_refused("learning_rate", "8", "did you mean train.lr or qat.lr?");
    assert_refused("train.batch-size", "8", "did you mean train.batch?");
    assert_refused("xyzzy", "8", "`echoquant help settings` lists them all");
    assert_refused("", "8", "`echoquant help settings` lists them all");
    assert_refused(".", "8", "`echoquant help settings` lists them all");
    assert_refused("zzzzzzzz", "8", "help settings");
    assert_json_refused("{\"data\": {\"framse\": 8}}", "did you mean data.frames?");
    assert_json_refused("{\"train.epoch\": 8}", "did you mean train.epochs?");
    assert_json_refused("{\"trian\": {\"epochs\": 8}}", "there is no section \"trian\"; there are data, synth, model");
}

static void test_json_types(void **state)
{
    (void)state;
    assert_json_refused("{\"data\": {\"frames\": \"8\"}}", "data.frames = \"8\"");
    assert_json_refused("{\"data\": {\"frames\": 8.5}}", "data.frames = 8.5");
    assert_json_refused("{\"data\": {\"frames\": 65}}", "1..64");
    assert_json_refused("{\"data\": {\"frames\": null}}", "data.frames = null");
    assert_json_refused("{\"data\": {\"synthetic\": 1}}", "true or false");
    assert_json_refused("{\"data\": {\"dir\": 1}}", "data.dir");
    assert_json_refused("{\"data\": {\"dir\": \"\"}}", "data.dir is empty");
    assert_json_refused("{\"data\": 8}", "is a section");
    assert_json_refused("[]", "a JSON object");
    assert_json_refused("{\"data\": {\"frames\": 8", "x.json:1:");
    assert_json_refused("{\"ptq\": {\"observer\": \"best\"}}", "one of minmax");
}

static void test_nested_and_flat_keys(void **state)
{
    (void)state;
    const char text[] = "{\"data\": {\"frames\": 9, \"size\": 96}, \"train.lr\": 0.25, \"run.dir\": \"x y\"}";
    struct eq_err err = {0};
    assert_int_equal(eq_settings_parse(&settings, text, strlen(text), "a.json", &err), EQ_OK);
    assert_int_equal(settings.config.data.frames, 9);
    assert_int_equal(settings.config.data.size, 96);
    assert_true(settings.config.train.lr == 0.25);
    assert_string_equal(settings.config.run.dir, "x y");
    assert_string_equal(settings.origin[eq_setting_find("train.lr") - eq_setting_table], "a.json");
    assert_string_equal(settings.origin[eq_setting_find("train.epochs") - eq_setting_table], "default");
}

static void test_config_json_comes_back_with_origins(void **state)
{
    (void)state;
    char dir[] = "/tmp/echoquant-settings-XXXXXX";
    struct eq_settings again;
    struct eq_str a = {0}, b = {0};
    bool found = false;
    assert_non_null(mkdtemp(dir));
    char *path = eq_path_join(dir, "config.json");
    assert_int_equal(eq_settings_set(&settings, "train.lr", "0.1", "--set", NULL), EQ_OK);
    assert_int_equal(eq_settings_set(&settings, "data.frames", "3", "b.json", NULL), EQ_OK);
    struct cJSON *notes = cJSON_Parse("{\"data_digest\": \"0123\", \"model_digests\": {\"fp32\": \"4567\"}}");
    assert_int_equal(eq_settings_save(&settings, notes, path, NULL), EQ_OK);
    cJSON_Delete(notes);
    assert_int_equal(eq_settings_init(&again, NULL), EQ_OK);
    assert_int_equal(eq_settings_load_run(&again, dir, &found, NULL), EQ_OK);
    assert_true(found);
    assert_int_equal(eq_settings_print(&settings, &a, NULL), EQ_OK);
    assert_int_equal(eq_settings_print(&again, &b, NULL), EQ_OK);
    assert_string_equal(a.s, b.s);
    eq_str_clear(&a);
    eq_settings_changes(&settings, &again, NULL, &a);
    assert_int_equal(a.len, 0);
    assert_int_equal(eq_settings_set(&again, "data.frames", "4", "--set", NULL), EQ_OK);
    assert_int_equal(eq_settings_set(&again, "run.threads", "2", "--set", NULL), EQ_OK); /* free to change */
    eq_settings_changes(&settings, &again, NULL, &a);
    assert_string_equal(a.s, "data.frames 3 -> 4");
    eq_settings_clear(&again);
    remove(path);
    rmdir(dir);
    free(path);
    eq_str_clear(&a);
    eq_str_clear(&b);
}

static void test_checks_between_settings(void **state)
{
    (void)state;
    struct eq_err err = {0};
    assert_int_equal(eq_settings_check(&settings, &err), EQ_OK);
    assert_int_equal(eq_settings_set(&settings, "train.schedule", "cosine", "--set", NULL), EQ_OK);
    assert_int_equal(eq_settings_set(&settings, "train.warmup", "12", "--set", NULL), EQ_OK);
    assert_int_equal(eq_settings_check(&settings, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "train.warmup"));
}

static void test_config_md_is_the_table(void **state)
{
    (void)state;
    void *page = NULL;
    size_t len;
    struct eq_err err = {0};
    struct eq_str made = {0};
    if (eq_read_file(SOURCE_DIR "/docs/CONFIG.md", (size_t)1 << 20, &page, &len, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    eq_settings_markdown(&made);
    if (len != made.len || memcmp(page, made.s, len) != 0)
        fail_msg("docs/CONFIG.md is not what the table says: build/echoquant help --markdown > docs/CONFIG.md");
    eq_free(page);
    eq_str_clear(&made);
}

static void test_help_has_every_row(void **state)
{
    (void)state;
    struct eq_str help = {0}, train = {0};
    static const char *const only_train[] = {"train", "run.seed", NULL};
    eq_settings_help(NULL, 80, &help);
    eq_settings_help(only_train, 80, &train);
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        char start[160];
        snprintf(start, sizeof start, "  %s = %s", row->key, row->initial);
        bool wanted = strncmp(row->key, "train.", 6) == 0 || strcmp(row->key, "run.seed") == 0;
        if (row->initial[0])
            assert_non_null(strstr(help.s, start));
        assert_int_equal(strstr(train.s, row->key) != NULL, wanted);
    }
    eq_str_clear(&help);
    eq_str_clear(&train);
}

static void test_shipped_configs_load(void **state)
{
    (void)state;
    static const char *const names[] = {"default.json", "smoke.json", "echonet.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct eq_err err = {0};
        char *path = eq_path_join(SOURCE_DIR "/configs", names[i]);
        if (eq_settings_load(&settings, path, &err) != EQ_OK || eq_settings_check(&settings, &err) != EQ_OK)
            fail_msg("%s", err.msg);
        free(path);
    }
}

/* A command without --config does what configs/default.json asks for, and names the folder of synthetic clips. */
static void test_defaults_are_the_default_experiment(void **state)
{
    (void)state;
    struct eq_settings loaded;
    struct eq_err err = {0};
    assert_int_equal(eq_settings_init(&loaded, &err), EQ_OK);
    if (eq_settings_load(&loaded, SOURCE_DIR "/configs/default.json", &err) != EQ_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < eq_setting_count; i++) {
        struct eq_str built_in = {0}, in_file = {0};
        eq_setting_print(&eq_setting_table[i], &settings.config, &built_in);
        eq_setting_print(&eq_setting_table[i], &loaded.config, &in_file);
        if (strcmp(built_in.s, in_file.s) != 0)
            fail_msg("%s is %s, and %s in configs/default.json", eq_setting_table[i].key, built_in.s, in_file.s);
        eq_str_clear(&built_in);
        eq_str_clear(&in_file);
    }
    eq_settings_clear(&loaded);
}

/* Each setting of the sections that shapes results, once, in the order of the table. */
static void test_fingerprint_holds_what_shapes_results(void **state)
{
    (void)state;
    static const char *const sections[] = {"data.frames", "train", NULL};
    struct eq_str text = {0};
    size_t lines = 0, wanted = 0;
    eq_settings_fingerprint(&settings.config, sections, &text);
    for (const char *p = text.s; *p; p++)
        lines += *p == '\n';
    for (size_t i = 0; i < eq_setting_count; i++)
        wanted += !eq_setting_table[i].free_to_change && eq_section_listed(eq_setting_table[i].key, sections);
    assert_int_equal(lines, wanted);
    assert_non_null(strstr(text.s, "data.frames=16\n"));
    assert_non_null(strstr(text.s, "train.loss=huber\n"));
    assert_null(strstr(text.s, "train.seeds="));
    assert_null(strstr(text.s, "data.size="));
    eq_str_clear(&text);
}

/* Version 0.1.0 noted enumerations and switches as numbers, reals with 17 digits. */
static void test_lines_of_other_versions(void **state)
{
    (void)state;
    assert_true(eq_settings_same_line("train.loss=2", "train.loss=huber"));
    assert_false(eq_settings_same_line("train.loss=1", "train.loss=huber"));
    assert_false(eq_settings_same_line("train.loss=7", "train.loss=huber"));
    assert_true(eq_settings_same_line("train.flip=0", "train.flip=false"));
    assert_false(eq_settings_same_line("train.flip=1", "train.flip=false"));
    assert_true(eq_settings_same_line("train.lr=0.00029999999999999997", "train.lr=0.0003"));
    assert_false(eq_settings_same_line("train.lr=0.0004", "train.lr=0.0003"));
    assert_true(eq_settings_same_line("isa=avx2", "isa=avx2"));
    assert_false(eq_settings_same_line("isa=avx2", "isa=avx512"));
    assert_false(eq_settings_same_line("train.lr=0.0003", "train.ema=0.0003"));
    assert_false(eq_settings_same_line("isa", "isa=avx2"));
}

static void words_near_settings(void **state)
{
    (void)state;
    static const char *const qat[] = {"qat", "train.flip", NULL};
    const char *keys[2];
    assert_int_equal(eq_settings_near("epochs", qat, true, keys, 2), 1);
    assert_string_equal(keys[0], "qat.epochs");
    assert_int_equal(eq_settings_near("epochs", NULL, true, keys, 1), 1);
    assert_int_equal(eq_settings_near("flip", qat, true, keys, 2), 1);
    assert_int_equal(eq_settings_near("flop", qat, true, keys, 2), 0);
    assert_int_equal(eq_settings_near("flop", qat, false, keys, 2), 1);
    assert_string_equal(keys[0], "train.flip");
    assert_int_equal(eq_settings_near("num-workers", qat, false, keys, 2), 0);
    assert_int_equal(eq_settings_near("num-workers", NULL, true, keys, 2), 1);
    assert_string_equal(keys[0], "run.threads");
}

static void what_was_given(void **state)
{
    (void)state;
    struct eq_settings s;
    assert_int_equal(eq_settings_init(&s, NULL), EQ_OK);
    assert_false(eq_settings_given(&s, "data.on_error"));
    assert_int_equal(eq_settings_set(&s, "data.on_error", "fail", "--set", NULL), EQ_OK);
    assert_true(eq_settings_given(&s, "data.on_error"));
    assert_false(eq_settings_given(&s, "data.dir"));
    eq_settings_clear(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_near_settings),
        cmocka_unit_test(what_was_given),
        TEST(test_keys_are_distinct_and_sections_together),
        TEST(test_ranges_hold_at_both_ends),
        TEST(test_choices_and_switches),
        TEST(test_choice_names_are_those_of_the_floors),
        TEST(test_unknown_keys_name_the_nearest),
        TEST(test_json_types),
        TEST(test_nested_and_flat_keys),
        TEST(test_config_json_comes_back_with_origins),
        TEST(test_checks_between_settings),
        TEST(test_config_md_is_the_table),
        TEST(test_help_has_every_row),
        TEST(test_shipped_configs_load),
        TEST(test_defaults_are_the_default_experiment),
        TEST(test_fingerprint_holds_what_shapes_results),
        TEST(test_lines_of_other_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
