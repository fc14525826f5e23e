/* The check of a data set: what it finds in rows and clips, what it keeps for the next time, the contact sheet. */
#include "data/check.h"
#include "unit/clip_fixture.h"

#include <math.h>
#include <string.h>
#include <sys/time.h>

enum { FRAMES = 5, SIZE = 16, RATE = 50 };

static struct eq_err err;

/* A data set of n clips NN.avi with FRAMES frames each; splits in turn TRAIN, TRAIN, VAL, TEST. */
static struct eq_dataset make_set(int n)
{
    static const enum eq_split splits[] = {EQ_SPLIT_TRAIN, EQ_SPLIT_TRAIN, EQ_SPLIT_VAL, EQ_SPLIT_TEST};
    struct eq_dataset ds = {.dir = eq_strdup(dir), .has_list = true};
    for (int i = 0; i < n; i++) {
        struct test_avi a = {.width = SIZE, .height = SIZE, .frames = FRAMES, .texture = true, .first_level = 20 + i};
        char name[16];
        snprintf(name, sizeof name, "%02d.avi", i);
        ds.samples = eq_list_grow(ds.samples, ds.n, sizeof *ds.samples);
        struct eq_sample *s = &ds.samples[ds.n++];
        s->path = path_of(name);
        name[2] = '\0';
        s->file_name = eq_strdup(name);
        s->ef = 40 + i;
        s->esv = s->edv = NAN;
        s->split = splits[i % 4];
        test_avi_write(s->path, &a);
        assert_int_equal(eq_file_size(s->path, &s->bytes, &err), EQ_OK);
    }
    return ds;
}

static struct eq_data_check check(const struct eq_dataset *ds, int frames, const char *cache)
{
    struct eq_data_check c;
    struct eq_check_opts opts = {.frames = frames, .cache_dir = cache};
    assert_int_equal(eq_data_check(ds, &opts, &c, &err), EQ_OK);
    return c;
}

/* The check finds exactly one thing of this kind, and nothing of any other. */
static void finds(const struct eq_dataset *ds, int frames, enum eq_finding_kind kind, const char *file_name,
                  const char *detail)
{
    struct eq_data_check c = check(ds, frames, NULL);
    assert_int_equal(c.n_findings, 1);
    assert_int_equal(c.findings[0].kind, kind);
    assert_string_equal(c.findings[0].file_name, file_name);
    assert_string_equal(c.findings[0].detail, detail);
    assert_int_equal(eq_data_check_status(&c, ds, &err), eq_finding_is_problem(kind) ? EQ_FORMAT : EQ_OK);
    eq_data_check_clear(&c);
}

static void finds_nothing(const struct eq_dataset *ds, int frames)
{
    struct eq_data_check c = check(ds, frames, NULL);
    if (c.n_findings)
        fail_msg("%s: %s", c.findings[0].file_name, c.findings[0].detail);
    assert_int_equal(c.good, ds->n);
    eq_data_check_clear(&c);
}

static void rows_are_held_against_what_hearts_have(void **state)
{
    struct eq_dataset ds = make_set(4);
    struct eq_sample *s = ds.samples;
    (void)state;
    finds_nothing(&ds, 0);
    s[1].ef = 4.9;
    finds(&ds, 0, EQ_FINDING_EF_RANGE, "01", "EF 4.9");
    s[1].ef = 5;
    finds_nothing(&ds, 0);
    s[1].ef = 95.5;
    finds(&ds, 0, EQ_FINDING_EF_RANGE, "01", "EF 95.5");
    s[1].ef = 1; /* that is for the reader of the list to say */
    finds_nothing(&ds, 0);
    s[1].ef = 50;
    for (int i = 0; i < 3; i++)
        s[i].esv = 40;
    finds(&ds, 0, EQ_FINDING_CONSTANT, "", "ESV is the same in every row (40)");
    s[0].esv = NAN; /* two are too few to tell */
    finds_nothing(&ds, 0);
    s[2].ef = 50;
    s[1].esv = NAN;
    s[2].edv = 100;
    s[2].esv = 45; /* within the tolerance */
    finds_nothing(&ds, 0);
    s[2].esv = 44;
    finds(&ds, 0, EQ_FINDING_VOLUMES, "02", "EF 50, by volumes 56");
    s[2].esv = 101;
    finds(&ds, 0, EQ_FINDING_VOLUMES, "02", "ESV 101 is above EDV 100");
    eq_dataset_clear(&ds);
}

static void rows_are_held_against_their_clips(void **state)
{
    struct eq_dataset ds = make_set(4);
    struct eq_sample *s = &ds.samples[3];
    (void)state;
    *s = (struct eq_sample){.file_name = s->file_name,
                            .path = s->path,
                            .bytes = s->bytes,
                            .ef = s->ef,
                            .esv = NAN,
                            .edv = NAN,
                            .split = s->split,
                            .fps = RATE,
                            .frame_width = SIZE,
                            .frame_height = SIZE,
                            .number_of_frames = FRAMES};
    finds_nothing(&ds, FRAMES);
    s->frame_height = 15;
    finds(&ds, 0, EQ_FINDING_FRAME_SIZE, "03", "row 16 x 15, clip 16 x 16");
    s->frame_height = SIZE;
    s->number_of_frames = 6;
    finds(&ds, 0, EQ_FINDING_FRAME_COUNT, "03", "row 6, clip 5");
    s->number_of_frames = FRAMES;
    s->fps = RATE + 1;
    finds_nothing(&ds, 0);
    s->fps = RATE + 2;
    finds(&ds, 0, EQ_FINDING_FRAME_RATE, "03", "row 52, clip 50");
    s->fps = 0;
    struct eq_data_check c = check(&ds, FRAMES + 1, NULL);
    assert_int_equal(eq_data_check_count(&c, EQ_FINDING_SHORT), 4);
    struct eq_str line = {0};
    eq_data_check_line(&c, EQ_FINDING_SHORT, 2, &line);
    assert_string_equal(line.s, "4 clips have fewer frames than data.frames: 00 (5 of 6), 01 (5 of 6) and 2 more");
    eq_str_clear(&line);
    eq_data_check_clear(&c);
    eq_dataset_clear(&ds);
}

static void broken_clips_are_told_apart(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum eq_finding_kind kind;
    } files[] = {{"", 0, EQ_FINDING_EMPTY},
                 {"<html>not found</html>", 22, EQ_FINDING_TEXT},
                 {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, EQ_FINDING_NO_VIDEO},
                 {"\x93NUMPY\1\0v\0{'descr'", 19, EQ_FINDING_FORMAT},
                 {"\7\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7", 16, EQ_FINDING_NO_VIDEO},
                 {"RIFF\0\1\0\0AVI LIST", 16, EQ_FINDING_CUT}};
    struct eq_dataset ds = make_set(4);
    struct eq_data_check c;
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        test_write(ds.samples[2].path, files[i].bytes, files[i].len);
        c = check(&ds, 0, NULL);
        assert_int_equal(c.n_findings, 1);
        assert_int_equal(c.findings[0].kind, files[i].kind);
        assert_int_equal(c.good, 3);
        assert_null(strstr(c.findings[0].detail, dir));
        assert_non_null(strstr(c.clips[2].fault, ds.samples[2].path));
        eq_data_check_clear(&c);
    }
    unlink(ds.samples[2].path);
    c = check(&ds, 0, NULL);
    assert_int_equal(c.findings[0].kind, EQ_FINDING_MISSING);
    eq_data_check_clear(&c);
    mkdir(ds.samples[2].path, 0700);
    c = check(&ds, 0, NULL);
    assert_int_equal(c.findings[0].kind, EQ_FINDING_UNREADABLE);
    eq_data_check_clear(&c);
    eq_dataset_clear(&ds);
}

static void a_clip_that_lost_its_end_can_be_read_and_is_damaged(void **state)
{
    struct eq_dataset ds = make_set(4);
    (void)state;
    assert_int_equal(truncate(ds.samples[0].path, (off_t)ds.samples[0].bytes - 200), 0);
    struct eq_data_check c = check(&ds, 0, NULL);
    assert_int_equal(c.n_findings, 1);
    assert_int_equal(c.findings[0].kind, EQ_FINDING_CUT);
    assert_true(c.clips[0].damage && c.clips[0].frames > 0 && c.clips[0].frames < FRAMES);
    eq_data_check_clear(&c);
    eq_dataset_clear(&ds);
}

static void copies_and_links_are_found_once_each(void **state)
{
    struct eq_dataset ds = make_set(8); /* 0, 1, 4, 5: TRAIN */
    (void)state;
    size_t len;
    uint8_t *bytes = test_read(ds.samples[0].path, &len);
    test_write(ds.samples[4].path, bytes, len); /* a copy in the same split */
    ds.samples[4].bytes = len;
    eq_free(bytes);
    unlink(ds.samples[7].path);
    assert_int_equal(symlink(ds.samples[4].path, ds.samples[7].path), 0); /* a link to the copy, in TEST */
    ds.samples[7].bytes = len;
    struct eq_data_check c = check(&ds, 0, NULL);
    assert_int_equal(c.n_findings, 2);
    assert_int_equal(c.findings[0].kind, EQ_FINDING_COPY_ACROSS);
    assert_string_equal(c.findings[0].file_name, "00");
    assert_string_equal(c.findings[0].other, "07");
    assert_int_equal(c.findings[1].kind, EQ_FINDING_COPY);
    assert_string_equal(c.findings[1].other, "04");
    assert_int_equal(eq_data_check_status(&c, &ds, &err), EQ_FORMAT);
    eq_data_check_clear(&c);
    eq_dataset_clear(&ds);
}

static void only_clips_that_changed_are_opened_again(void **state)
{
    struct eq_dataset ds = make_set(4);
    char *cache = path_of("cache"), *file = eq_check_cache_path(cache, dir);
    struct eq_data_check c = check(&ds, 0, cache);
    (void)state;
    assert_int_equal(c.cached, 0);
    eq_data_check_clear(&c);
    c = check(&ds, FRAMES + 1, cache);
    assert_int_equal(c.cached, 4);
    assert_int_equal(eq_data_check_count(&c, EQ_FINDING_SHORT), 4); /* what is found is found again */
    assert_int_equal(c.clips[0].width, SIZE);
    eq_data_check_clear(&c);
    test_write(ds.samples[1].path, "", 0);
    for (int again = 0; again < 2; again++) { /* a broken clip is never kept */
        c = check(&ds, 0, cache);
        assert_int_equal(c.cached, 3);
        assert_int_equal(eq_data_check_count(&c, EQ_FINDING_EMPTY), 1);
        eq_data_check_clear(&c);
    }
    const struct timeval times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimes(ds.samples[2].path, times), 0);
    c = check(&ds, 0, cache);
    assert_int_equal(c.cached, 2);
    eq_data_check_clear(&c);

    size_t len;
    uint8_t *bytes = test_read(file, &len);
    struct eq_cached_clip *clips;
    size_t n;
    assert_true(eq_check_cache_parse((char *)bytes, len, &clips, &n));
    assert_int_equal(n, 3);
    free(clips);
    for (size_t i = 0; i < len; i++) { /* any byte that changes, and any cut, is noticed */
        bytes[i] ^= 1;
        assert_false(eq_check_cache_parse((char *)bytes, len, &clips, &n));
        bytes[i] ^= 1;
        assert_false(eq_check_cache_parse((char *)bytes, i, &clips, &n));
        assert_null(clips);
    }
    test_write(file, bytes, len / 2);
    c = check(&ds, 0, cache);
    assert_int_equal(c.cached, 0);
    assert_int_equal(c.good, 3);
    eq_data_check_clear(&c);
    eq_free(bytes);
    eq_dataset_clear(&ds);
    free(cache);
    free(file);
}

static void the_cache_lies_where_the_user_wants_it(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", "/some/where", 1);
    char *path = eq_cache_dir();
    assert_string_equal(path, "/some/where/echoquant");
    free(path);
    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, by the specification */
    setenv("HOME", "/home/someone", 1);
    path = eq_cache_dir();
    assert_string_equal(path, "/home/someone/.cache/echoquant");
    free(path);
    unsetenv("HOME");
    assert_null(eq_cache_dir());
}

static void the_contact_sheet_shows_faults_and_all_splits(void **state)
{
    struct eq_dataset ds = make_set(90);
    char *png = path_of("sheet.png");
    (void)state;
    for (int i = 0; i < 20; i++)
        test_write(ds.samples[4 * i].path, "x", 1);
    struct eq_data_check c = check(&ds, 0, NULL);
    struct eq_contact_sheet sheet;
    assert_int_equal(eq_contact_sheet_write(png, &ds, &c, &sheet, &err), EQ_OK);
    assert_int_in_range(sheet.n, 48, 64);
    size_t faults = 0, of_split[EQ_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < sheet.n; i++) {
        const struct eq_sheet_tile *t = &sheet.tiles[i];
        assert_int_in_range(t->row, 0, 7);
        assert_int_in_range(t->column, 0, 7);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(t->sample, sheet.tiles[k].sample);
            assert_false(t->row == sheet.tiles[k].row && t->column == sheet.tiles[k].column);
        }
        faults += c.clips[t->sample].fault != NULL;
        of_split[ds.samples[t->sample].split] += !c.clips[t->sample].fault;
    }
    assert_int_equal(faults, 16);
    assert_int_in_range(of_split[EQ_SPLIT_TRAIN], 16, 25);
    assert_int_in_range(of_split[EQ_SPLIT_VAL], 8, 16);
    assert_int_in_range(of_split[EQ_SPLIT_TEST], 16, 22);
    size_t len;
    uint8_t *bytes = test_read(png, &len);
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    assert_int_equal(bytes[18] << 8 | bytes[19], 8 * 120); /* width */
    eq_free(bytes);
    eq_contact_sheet_clear(&sheet);
    eq_data_check_clear(&c);
    eq_dataset_clear(&ds);
    free(png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_held_against_what_hearts_have, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(rows_are_held_against_their_clips, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(broken_clips_are_told_apart, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_clip_that_lost_its_end_can_be_read_and_is_damaged, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(copies_and_links_are_found_once_each, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(only_clips_that_changed_are_opened_again, make_dir, remove_dir),
        cmocka_unit_test(the_cache_lies_where_the_user_wants_it),
        cmocka_unit_test_setup_teardown(the_contact_sheet_shows_faults_and_all_splits, make_dir, remove_dir),
    };
    eq_log_configure(EQ_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
