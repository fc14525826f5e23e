/* FileList.csv and its malformed twins: what is read, and which line each message names. */
#include "unit/cmocka_all.h"
#include "data/dataset.h"
#include "avi_file.h"

#include <math.h>
#include <sys/stat.h>

static enum eq_status parse(const char *text, size_t len, enum eq_on_error on_error, struct eq_dataset *ds,
                            struct eq_err *err)
{
    return eq_filelist_parse(text, len, "FileList.csv", NULL, 7, on_error, ds, err);
}

/* The text is accepted; returns the data set. */
static struct eq_dataset accept(const char *text)
{
    struct eq_dataset ds;
    struct eq_err err = {0};
    if (parse(text, strlen(text), EQ_ON_ERROR_FAIL, &ds, &err) != EQ_OK)
        fail_msg("refused: %s", err.msg);
    return ds;
}

static void refuse_bytes(const char *text, size_t len, const char *message)
{
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(parse(text, len, EQ_ON_ERROR_FAIL, &ds, &err), EQ_FORMAT);
    assert_int_equal(err.status, EQ_FORMAT);
    if (!strstr(err.msg, message))
        fail_msg("the message is \"%s\", without \"%s\"", err.msg, message);
    assert_null(ds.samples);
    assert_null(ds.skipped);
}

static void refuse(const char *text, const char *message)
{
    refuse_bytes(text, strlen(text), message);
}

static void echonets_columns(void **state)
{
    (void)state;
    struct eq_dataset ds = accept("FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split\n"
                                  "0X100009310A3BD7FC,78.4984058,14.8813681,69.2109833,112,112,50,174,VAL\n"
                                  "0X1002E8FBACD08477.avi,59.1009882,40.3836118,98.742884,112,112,30,215,train\n"
                                  "0X1005D03EED19C65B,62.3,,,112,112,50,104,TEST\n");
    assert_int_equal(ds.n, 3);
    assert_true(ds.split_from_file);
    assert_string_equal(ds.samples[0].file_name, "0X100009310A3BD7FC");
    assert_true(ds.samples[0].ef == 78.4984058 && ds.samples[0].esv == 14.8813681 && ds.samples[0].edv == 69.2109833);
    assert_int_equal(ds.samples[0].split, EQ_SPLIT_VAL);
    assert_int_equal(ds.samples[0].number_of_frames, 174);
    assert_int_equal(ds.samples[0].line, 2);
    assert_string_equal(ds.samples[1].file_name, "0X1002E8FBACD08477");
    assert_int_equal(ds.samples[1].split, EQ_SPLIT_TRAIN);
    assert_true(ds.samples[1].fps == 30.0 && ds.samples[1].frame_width == 112 && ds.samples[1].frame_height == 112);
    assert_true(isnan(ds.samples[2].esv) && isnan(ds.samples[2].edv));
    eq_dataset_clear(&ds);
}

static void columns_in_any_order_and_case(void **state)
{
    (void)state;
    struct eq_dataset ds =
        accept("Site,ef,Comment,FILENAME\r\nA,50,hello,x\r\nB,0,,y\r\nC,100,\"a, \"\"b\"\"\",z.AVI\r\n");
    assert_int_equal(ds.n, 3);
    assert_true(ds.samples[0].ef == 50.0 && ds.samples[1].ef == 0.0 && ds.samples[2].ef == 100.0);
    assert_string_equal(ds.samples[2].file_name, "z");
    assert_int_equal(ds.samples[2].line, 4);
    assert_false(ds.split_from_file);
    eq_dataset_clear(&ds);
}

static void encodings_and_line_ends(void **state)
{
    (void)state;
    const char *const twins[] = {
        ("\xef\xbb\xbf"
         "FileName,EF\na,50\nb,60\n"),
        "FileName,EF\r\na,50\r\nb,60\r\n",
        "FileName,EF\ra,50\rb,60\r",
        "FileName,EF\na,50\nb,60",
        "\n\nFileName,EF\n\na,50\n  \nb,60\n\n",
        " FileName , EF \n a , 50 \n b , 60 \n",
        "\"FileName\",\"EF\"\n\"a\",\"50\"\n\"b\",\"60\"\n",
    };
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
        struct eq_dataset ds = accept(twins[i]);
        assert_int_equal(ds.n, 2);
        assert_string_equal(ds.samples[0].file_name, "a");
        assert_string_equal(ds.samples[1].file_name, "b");
        assert_true(ds.samples[0].ef == 50.0 && ds.samples[1].ef == 60.0);
        eq_dataset_clear(&ds);
    }
    refuse_bytes("\xff\xfe"
                 "F\0i\0",
                 6, "UTF-16");
}

static void quoted_names(void **state)
{
    (void)state;
    struct eq_dataset ds =
        accept("FileName,EF\n\"clip, one.avi\",50\n\"two\nlines\",51\n\"say \"\"hi\"\"\",52\nlast,53\n");
    assert_int_equal(ds.n, 4);
    assert_string_equal(ds.samples[0].file_name, "clip, one");
    assert_string_equal(ds.samples[1].file_name, "two\nlines");
    assert_string_equal(ds.samples[2].file_name, "say \"hi\"");
    assert_int_equal(ds.samples[1].line, 3);
    assert_int_equal(ds.samples[2].line, 5); /* the name above takes two lines */
    assert_int_equal(ds.samples[3].line, 6);
    eq_dataset_clear(&ds);
}

static void bad_headers(void **state)
{
    (void)state;
    refuse("", "FileList.csv: empty");
    refuse("\n\n\n", "FileList.csv: empty");
    refuse("FileName,Split\na,TRAIN\n", "FileList.csv:1: no column \"EF\"; the header has: FileName, Split");
    refuse("\nEF\n50\n", "FileList.csv:2: no column \"FileName\"");
    refuse("FileName;EF\na;50\n", "separated by commas");
    refuse("FileName,EF,ef\na,50,50\n", "the column \"EF\" is there twice");
    refuse("FileName,EF\n", "no usable clip");
}

static void bad_rows(void **state)
{
    (void)state;
    refuse("FileName,EF\na,50\nb,abc\n", "FileList.csv:3: EF \"abc\" is not a number");
    refuse("FileName,EF\na,101\n", "FileList.csv:2: EF 101 is outside 0..100");
    refuse("FileName,EF\na,-1\n", "FileList.csv:2: EF -1 is outside 0..100");
    refuse("FileName,EF\na,nan\n", "FileList.csv:2: EF \"nan\" is not a number");
    refuse("FileName,EF\na,inf\n", "EF \"inf\" is not a number");
    refuse("FileName,EF\na,\n", "FileList.csv:2: EF is empty");
    refuse("FileName,EF\na,5O\n", "\"5O\" is not a number");
    refuse("FileName,EF\n\"a\",\"50,5\"\n", "\"50,5\" is not a number");
    refuse("FileName,EF\n,50\n", "FileList.csv:2: FileName is empty");
    refuse("FileName,EF\na,50\nb\n", "FileList.csv:3: 1 fields, but the header has 2");
    refuse("FileName,EF\na,50,1\n", "3 fields, but the header has 2");
    refuse("FileName,EF,ESV\na,50,x\n", "ESV \"x\" is not a number");
    refuse("FileName,EF,NumberOfFrames\na,50,-3\n", "NumberOfFrames -3 is outside");
    refuse("FileName,EF,Split\na,50,DEV\n", "FileList.csv:2: Split \"DEV\" is not TRAIN, VAL or TEST");
    refuse("FileName,EF,Split\na,50,\n", "Split \"\" is not");
    refuse("FileName,EF\r\na,50\r\nb,60\r\na.avi,70\r\n", "FileList.csv:4: FileName \"a\" is already in line 2");
    refuse("FileName,EF\n../a,50\n", "leads out of the data folder");
    refuse("FileName,EF\nx/../../a,50\n", "leads out of the data folder");
    refuse("FileName,EF\n/etc/passwd,50\n", "leads out of the data folder");
    refuse("FileName,EF\na,1\nb,x\nc,y\nd,z\n", "FileList.csv:3: EF \"x\" is not a number (and 2 more such rows)");
}

static void bad_text(void **state)
{
    (void)state;
    refuse("FileName,EF\n\"a,50\nb,60\n", "FileList.csv:2: a quote opens here and never closes");
    refuse("FileName,EF\na\"b,50\n", "FileList.csv:2: a stray quote");
    refuse_bytes("FileName,EF\na\0b,50\n", 19, "FileList.csv:2: a NUL byte");
    struct eq_str wide = {0};
    for (int i = 0; i < 1100; i++)
        eq_str_add(&wide, "c%d,", i);
    refuse(wide.s, "more than 1024 columns");
    wide.len = 0;
    eq_str_add(&wide, "FileName,EF\n");
    for (int i = 0; i < 1000; i++)
        eq_str_add(&wide, "abcdef");
    eq_str_add(&wide, ",50\n");
    refuse(wide.s, "FileList.csv:2: a field longer than 4096 bytes");
    eq_str_clear(&wide);
}

static void skipping_keeps_the_good_rows(void **state)
{
    (void)state;
    const char *text = "FileName,EF,Split\na,50,TRAIN\nb,abc,TRAIN\na,51,VAL\nc,52,VAL\n,1,VAL\n";
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(parse(text, strlen(text), EQ_ON_ERROR_SKIP, &ds, &err), EQ_OK);
    assert_int_equal(ds.n, 2);
    assert_int_equal(ds.n_skipped, 3);
    assert_string_equal(ds.skipped[0].file_name, "b");
    assert_string_equal(ds.skipped[0].reason, "FileList.csv:3: EF \"abc\" is not a number");
    assert_string_equal(ds.skipped[1].file_name, "a");
    assert_string_equal(ds.skipped[2].file_name, "line 6");
    eq_dataset_skip(&ds, 0, EQ_FORMAT, "because");
    assert_int_equal(ds.n, 1);
    assert_string_equal(ds.samples[0].file_name, "c");
    assert_string_equal(ds.skipped[3].file_name, "a");
    assert_string_equal(ds.skipped[3].reason, "because");
    eq_dataset_clear(&ds);
    const char *none = "FileName,EF\na,x\n";
    assert_int_equal(parse(none, strlen(none), EQ_ON_ERROR_SKIP, &ds, &err), EQ_FORMAT);
    assert_non_null(strstr(err.msg, "no usable clip; the first: FileList.csv:2"));
}

/* ---- the seeded split ---------------------------------------------------- */

enum { SPLIT_CLIPS = 200 };

/* A list of SPLIT_CLIPS names in the order (start + k * stride) mod SPLIT_CLIPS; the split of each name by number. */
static void split_of(uint64_t seed, int start, int stride, enum eq_split *split)
{
    struct eq_str text = {0};
    eq_str_add(&text, "FileName,EF\n");
    for (int k = 0; k < SPLIT_CLIPS; k++)
        eq_str_add(&text, "clip%d,50\n", (start + k * stride) % SPLIT_CLIPS);
    struct eq_dataset ds;
    assert_int_equal(eq_filelist_parse(text.s, text.len, "x", NULL, seed, EQ_ON_ERROR_FAIL, &ds, NULL), EQ_OK);
    assert_false(ds.split_from_file);
    for (size_t i = 0; i < ds.n; i++)
        split[strtol(ds.samples[i].file_name + 4, NULL, 10)] = ds.samples[i].split;
    eq_dataset_clear(&ds);
    eq_str_clear(&text);
}

static void split_ignores_the_order_of_rows(void **state)
{
    (void)state;
    enum eq_split a[SPLIT_CLIPS], b[SPLIT_CLIPS], other[SPLIT_CLIPS];
    split_of(7, 0, 1, a);
    split_of(7, 13, 77, b);
    split_of(8, 0, 1, other);
    assert_memory_equal(a, b, sizeof a);
    int count[EQ_SPLIT_COUNT] = {0}, same = 0, runs = 0;
    for (int i = 0; i < SPLIT_CLIPS; i++) {
        count[a[i]]++;
        same += a[i] == other[i];
        runs += i > 0 && a[i] != a[i - 1];
    }
    assert_int_equal(count[EQ_SPLIT_TRAIN], 140);
    assert_int_equal(count[EQ_SPLIT_VAL], 30);
    assert_int_equal(count[EQ_SPLIT_TEST], 30);
    assert_in_range(same, 80, 135); /* 0.535 * 200 = 107 expected of two independent splits */
    assert_in_range(runs, 60, 125); /* neighbors in name are no neighbors in split: 92 expected */
}

static void small_sets_get_all_three(void **state)
{
    (void)state;
    for (int n = 1; n <= 20; n++) {
        struct eq_str text = {0};
        eq_str_add(&text, "FileName,EF\n");
        for (int k = 0; k < n; k++)
            eq_str_add(&text, "c%d,50\n", k);
        struct eq_dataset ds = accept(text.s);
        size_t total = 0;
        for (int s = 0; s < EQ_SPLIT_COUNT; s++) {
            uint32_t *indices = NULL;
            size_t count = eq_dataset_split(&ds, (enum eq_split)s, &indices);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(ds.samples[indices[i]].split, s);
                assert_true(i == 0 || indices[i] > indices[i - 1]);
            }
            assert_true(count > 0 || n < 3);
            total += count;
            free(indices);
        }
        assert_int_equal(total, n);
        eq_dataset_clear(&ds);
        eq_str_clear(&text);
    }
}

/* ---- folders ------------------------------------------------------------- */

static void put(const char *dir, const char *name, const char *text)
{
    char *path = eq_path_join(dir, name);
    test_write(path, text, strlen(text));
    free(path);
}

static void clips_are_found_flat_and_under_videos(void **state)
{
    (void)state;
    char *dir = test_dir_new(), *videos = eq_path_join(dir, "Videos");
    assert_int_equal(mkdir(videos, 0700), 0);
    put(dir, "flat.avi", "x");
    put(dir, "Videos/below.avi", "x");
    put(dir, "Videos/other.mp4", "x");
    put(dir, "FileList.csv", "FileName,EF\nflat,1\nbelow.avi,2\nother.mp4,3\n");
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(eq_dataset_open(dir, 1, EQ_ON_ERROR_FAIL, &ds, &err), EQ_OK);
    const char *const ends[] = {"/flat.avi", "/Videos/below.avi", "/Videos/other.mp4"};
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(ds.samples[i].path, ends[i]));
    assert_string_equal(ds.dir, dir);
    eq_dataset_clear(&ds);

    put(dir, "FileList.csv", "FileName,EF\nflat,1\nabsent,2\nVideos,3\n");
    assert_int_equal(eq_dataset_open(dir, 1, EQ_ON_ERROR_FAIL, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "FileList.csv:3: no file absent.avi in"));
    assert_int_equal(eq_dataset_open(dir, 1, EQ_ON_ERROR_SKIP, &ds, &err), EQ_OK);
    assert_int_equal(ds.n, 1);
    assert_int_equal(ds.n_skipped, 2); /* a folder is no clip */
    eq_dataset_clear(&ds);
    free(videos);
    test_dir_free(dir);
}

static void folders_that_are_none(void **state)
{
    (void)state;
    char *dir = test_dir_new();
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(eq_dataset_open(dir, 1, EQ_ON_ERROR_SKIP, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "FileList.csv: no such file"));
    put(dir, "file", "x");
    char *file = eq_path_join(dir, "file"), *absent = eq_path_join(dir, "absent");
    assert_int_equal(eq_dataset_open(file, 1, EQ_ON_ERROR_SKIP, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "is not a folder"));
    assert_int_equal(eq_dataset_open(absent, 1, EQ_ON_ERROR_SKIP, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "no such data folder"));
    free(file);
    free(absent);
    test_dir_free(dir);
}

static void plain_paths(void **state)
{
    (void)state;
    char *dir = test_dir_new();
    put(dir, "one.avi", "x");
    char *one = eq_path_join(dir, "one.avi"), *two = eq_path_join(dir, "two.avi");
    const char *const paths[] = {two, one, dir};
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(eq_dataset_from_paths(paths, 3, EQ_ON_ERROR_FAIL, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "two.avi"));
    assert_int_equal(eq_dataset_from_paths(paths, 3, EQ_ON_ERROR_SKIP, &ds, &err), EQ_OK);
    assert_int_equal(ds.n, 1);
    assert_int_equal(ds.n_skipped, 2);
    assert_string_equal(ds.samples[0].file_name, "one");
    assert_string_equal(ds.samples[0].path, one);
    assert_int_equal(ds.samples[0].split, EQ_SPLIT_TEST);
    assert_true(isnan(ds.samples[0].ef));
    eq_dataset_clear(&ds);
    free(one);
    free(two);
    test_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echonets_columns),
        cmocka_unit_test(columns_in_any_order_and_case),
        cmocka_unit_test(encodings_and_line_ends),
        cmocka_unit_test(quoted_names),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(bad_rows),
        cmocka_unit_test(bad_text),
        cmocka_unit_test(skipping_keeps_the_good_rows),
        cmocka_unit_test(split_ignores_the_order_of_rows),
        cmocka_unit_test(small_sets_get_all_three),
        cmocka_unit_test(clips_are_found_flat_and_under_videos),
        cmocka_unit_test(folders_that_are_none),
        cmocka_unit_test(plain_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
