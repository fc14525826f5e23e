/* FileList.csv and its malformed twins: what is read, and which line each message names. */
#include "unit/cmocka_all.h"
#include "data/dataset.h"
#include "avi_file.h"

#include <math.h>
#include <sys/stat.h>

static enum eq_status parse(const char *text, size_t len, enum eq_on_error on_error, struct eq_dataset *ds,
                            struct eq_err *err)
{
    return eq_filelist_parse(text, len, "FileList.csv", NULL,
                             &(struct eq_list_opts){.split_seed = 7, .on_error = on_error}, ds, err);
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

static void has_note(const struct eq_dataset *ds, const char *part)
{
    for (size_t i = 0; i < ds->n_notes; i++)
        if (strstr(ds->notes[i].text, part))
            return;
    fail_msg("no note with \"%s\"; the first of %zu is \"%s\"", part, ds->n_notes,
             ds->n_notes ? ds->notes[0].text : "");
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
        "FileName,EF\na,50 %\n,\n , \nb,60%\n,,,\n\"\",\"\"\n", /* empty rows of a spreadsheet */
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
    refuse("FileName,EF,ef\na,50,50\n", "the column \"EF\" twice");
    refuse("FileName,EF\n", "no usable clip");
    refuse("a,50,secret\nb,50,secret\n", "FileList.csv:1: no header: the first line has no column \"FileName\"");
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
    refuse("FileName,EF,Split\na,50,DEV\n", "FileList.csv:2: Split \"DEV\" is not TRAIN, VAL, or TEST");
    refuse("FileName,EF,Split\na,50,\n", "Split \"\" is not");
    refuse("FileName,EF\r\na,50\r\nb,60\r\na.avi,70\r\n", "FileList.csv:4: FileName \"a\" is already in line 2");
    refuse("FileName,EF\n../a,50\n", "leads out of the data folder");
    refuse("FileName,EF\nx/../../a,50\n", "leads out of the data folder");
    refuse("FileName,EF\n/etc/passwd,50\n", "leads out of the data folder");
    refuse("FileName,EF\na,1\nb,x\nc,y\nd,z\n", "FileList.csv:3: EF \"x\" is not a number (and 2 more such rows)");
}

/* Whoever trains needs TRAIN and VAL, and a run TEST: better known before than after. */
static void splits_without_clips(void **state)
{
    (void)state;
    struct eq_dataset ds = accept("FileName,EF,Split\na,50,TRAIN\nb,60,VAL\n");
    has_note(&ds, "no clip is in TEST");
    eq_dataset_clear(&ds);
    ds = accept("FileName,EF,Split\na,50,TEST\nb,60,TEST\n");
    has_note(&ds, "no clip is in TRAIN and none in VAL");
    eq_dataset_clear(&ds);
    ds = accept("FileName,EF\na,50\nb,60\n");
    assert_true(ds.n_notes == 1);
    eq_dataset_clear(&ds);
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

/* ---- what spreadsheets and other programs write -------------------------- */

static void other_separators(void **state)
{
    (void)state;
    const char *const twins[] = {
        "FileName;EF;Split\na;50,5;TRAIN\n\"b;c\";60;VAL\n",
        "FileName\tEF\tSplit\na\t50.5\tTRAIN\nb;c\t60\tVAL\n",
        ("\xef\xbb\xbf"
         "sep=;\r\nFileName;EF;Split\r\na;50,5;TRAIN\r\nb\";\"c;60;VAL\r\n"),
        "\n  \n\"FileName\";\"EF\";\"Split\";\"a, b\"\n\"a\";\"50,5\";\"TRAIN\";\n\"b;c\";60;VAL;x\n",
        "FileName\tEF\tSplit\tNote\t\na\t50,5\tTRAIN\t\t\nb;c\t60\tVAL\t\t\t\t\n",
        "FileName,EF,Split,,\na,50.5,TRAIN,,,,\nb;c,60,VAL,,\n",
        ",FileName,EF,Split\n0,a,50.5,TRAIN\n1,b;c,60,VAL\n",
    };
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
        if (i == 2)
            continue;
        struct eq_dataset ds = accept(twins[i]);
        assert_int_equal(ds.n, 2);
        assert_string_equal(ds.samples[0].file_name, "a");
        assert_string_equal(ds.samples[1].file_name, "b;c");
        assert_true(ds.samples[0].ef == 50.5 && ds.samples[1].ef == 60.0);
        assert_int_equal(ds.samples[1].split, EQ_SPLIT_VAL);
        eq_dataset_clear(&ds);
    }
    refuse(twins[2], "FileList.csv:4: a stray quote");
    struct eq_dataset ds = accept("sep=;\nFileName;EF\na,b;50\n");
    assert_string_equal(ds.samples[0].file_name, "a,b");
    assert_int_equal(ds.samples[0].line, 3);
    eq_dataset_clear(&ds);
    refuse("FileName;EF\na;1.050,5\n", "EF \"1.050,5\" is not a number");
    refuse("FileName;EF\na;1,2,3\n", "is not a number");
    refuse("FileName,EF\n\"a\",\"50,5\"\n", "\"50,5\" is not a number (decimals follow a point)");
    refuse("FileName,EF\na,50,5\n", "3 fields, but the header has 2 (a text with a separator in it needs quotes)");
    refuse("FileName;Split\na;TRAIN\n", "no column \"EF\"; the header has: FileName, Split");
    refuse_bytes("PK\3\4rest", 8, "save it as CSV");
}

static struct eq_dataset accept_as(const char *text, const struct eq_list_opts *opts)
{
    struct eq_dataset ds;
    struct eq_err err = {0};
    if (eq_filelist_parse(text, strlen(text), "FileList.csv", NULL, opts, &ds, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    return ds;
}

static void refuse_as(const char *text, const struct eq_list_opts *opts, enum eq_status status, const char *message)
{
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(eq_filelist_parse(text, strlen(text), "FileList.csv", NULL, opts, &ds, &err), status);
    if (!strstr(err.msg, message))
        fail_msg("the message is \"%s\", without \"%s\"", err.msg, message);
}

static void fractions_and_constants(void **state)
{
    (void)state;
    struct eq_dataset ds = accept("FileName,EF\na,0.552\nb,0.61\nc,1\n");
    assert_true(ds.ef_like_fraction && ds.samples[0].ef == 0.552);
    has_note(&ds, "all 3 EFs lie within 0..1");
    eq_dataset_clear(&ds);
    ds = accept_as("FileName,EF\na,0.5\nb,0.25\nc,1\n", &(struct eq_list_opts){.ef_unit = EQ_EF_FRACTION});
    assert_true(ds.samples[0].ef == 50.0 && ds.samples[1].ef == 25.0 && ds.samples[2].ef == 100.0);
    assert_true(!ds.ef_like_fraction && ds.n_notes == 0);
    eq_dataset_clear(&ds);
    refuse_as("FileName,EF\na,0.5\nb,25\n", &(struct eq_list_opts){.ef_unit = EQ_EF_FRACTION}, EQ_FORMAT,
              "FileList.csv:3: EF 25 is outside 0..1 (data.ef_unit = fraction)");
    ds = accept("FileName,EF\na,55\nb,0.61\nc,60\n");
    has_note(&ds, "1 of 3 EFs is 1 % or less, the first in line 3");
    eq_dataset_clear(&ds);
    ds = accept("FileName,EF\na,0\nb,0\nc,0\n");
    has_note(&ds, "all 3 clips have the EF 0 %");
    assert_false(ds.ef_like_fraction);
    eq_dataset_clear(&ds);
    ds = accept("FileName,EF\na,50\nb,60\nc,70\n");
    assert_int_equal(ds.n_notes, 0);
    eq_dataset_clear(&ds);
}

static void folds(void **state)
{
    (void)state;
    static const char list[] = "FileName,EF,Split\na,50,0\nb,51,1\nc,52,8.0\nd,53,9\n";
    const struct eq_list_opts mapped = {.val_folds = "8", .test_folds = " 9 , 1"};
    struct eq_dataset ds = accept_as(list, &mapped);
    static const enum eq_split wanted[] = {EQ_SPLIT_TRAIN, EQ_SPLIT_TEST, EQ_SPLIT_VAL, EQ_SPLIT_TEST};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ds.samples[i].split, wanted[i]);
    eq_dataset_clear(&ds);
    ds = accept_as("FileName,EF,Split\na,50,A\nb,51,b\nc,52,train\n",
                   &(struct eq_list_opts){.val_folds = "a", .test_folds = "B"});
    assert_true(ds.samples[0].split == EQ_SPLIT_VAL && ds.samples[1].split == EQ_SPLIT_TEST);
    eq_dataset_clear(&ds);
    for (enum eq_on_error on_error = EQ_ON_ERROR_FAIL; on_error <= EQ_ON_ERROR_SKIP; on_error++)
        refuse_as(
            list, &(struct eq_list_opts){.on_error = on_error}, EQ_FORMAT,
            "FileList.csv:2: the column Split has folds (0, 1, 8, 9), not TRAIN, VAL, and TEST. To validate on one "
            "fold, test on another, and train on the rest: --set data.val_folds=8 --set data.test_folds=9");
    refuse_as(list, &(struct eq_list_opts){.val_folds = "8", .test_folds = "10"}, EQ_FORMAT,
              "no row has fold 10 of data.test_folds; the column Split has 0, 1, 8, 9");
    refuse_as(list, &(struct eq_list_opts){.val_folds = "8", .test_folds = "8"}, EQ_USAGE,
              "fold 8 is in data.val_folds");
    refuse_as("FileName,EF\na,50\n", &(struct eq_list_opts){.val_folds = "8"}, EQ_FORMAT, "no column \"Split\"");
    refuse_as("FileName,EF,Split\na,50,0\nb,50,x\n", &(struct eq_list_opts){.val_folds = "0"}, EQ_FORMAT,
              "FileList.csv:3: Split \"x\" is not TRAIN, VAL, or TEST or a fold of");
    /* a slip among names is a bad row, as any other */
    refuse("FileName,EF,Split\na,50,TRAIN\nb,51,1\nc,51,2\n", "FileList.csv:3: Split \"1\" is not TRAIN");
}

static void patients_stay_together(void **state)
{
    (void)state;
    static const char *const headers[] = {"PatientID", "patient_id", "Subject ID", "MRN", "SubjectID", "pat-id"};
    for (size_t h = 0; h < sizeof headers / sizeof *headers; h++) {
        struct eq_str text = {0};
        eq_str_add(&text, "%s,FileName,EF\n", headers[h]);
        for (int k = 0; k < 60; k++)
            eq_str_add(&text, "secret%d,clip%d,%d\n", k % 20, k, 30 + k);
        struct eq_dataset ds = accept(text.s);
        size_t count[EQ_SPLIT_COUNT] = {0};
        assert_int_equal(ds.n_patients, 20);
        for (size_t i = 0; i < ds.n; i++) {
            assert_int_equal(ds.samples[i].patient, 1 + i % 20);
            assert_int_equal(ds.samples[i].split, ds.samples[i % 20].split);
            count[ds.samples[i].split]++;
        }
        assert_int_equal(count[EQ_SPLIT_TRAIN], 42);
        assert_int_equal(count[EQ_SPLIT_VAL], 9);
        assert_int_equal(count[EQ_SPLIT_TEST], 9);
        assert_int_equal(ds.n_notes, 0);
        eq_dataset_clear(&ds);
        eq_str_clear(&text);
    }
}

/* Spreadsheets write one patient in many ways. Two that are taken for one cost nothing; one taken for two is a leak. */
static void spellings_of_a_patient(void **state)
{
    (void)state;
    struct eq_dataset ds = accept("FileName,EF,Split,PatientID\na,50,TRAIN,P1\nb,51,VAL,p1\nc,52,TEST, P1 \n"
                                  "d,53,TRAIN,007\ne,54,VAL,7\nf,55,TEST,7.0\ng,56,TRAIN,\" P1\"\n"
                                  "h,57,TRAIN,M\xc3\xbcller\ni,58,TEST,M\xc3\x9cLLER\nj,59,TEST,\" \"\nk,60,TEST,0\n");
    static const uint32_t number[] = {1, 1, 1, 2, 2, 2, 1, 3, 3, 0, 4};
    for (size_t i = 0; i < ds.n; i++)
        assert_int_equal(ds.samples[i].patient, number[i]);
    assert_int_equal(ds.n_patients, 4);
    eq_dataset_clear(&ds);
}

static void the_split_of_names_is_untouched_by_a_column_that_is_off(void **state)
{
    (void)state;
    struct eq_str with = {0}, without = {0};
    eq_str_add(&with, "FileName,EF,PatientID\n");
    eq_str_add(&without, "FileName,EF\n");
    for (int k = 0; k < 50; k++) {
        eq_str_add(&with, "clip%d,%d,%s\n", k, 30 + k, k % 2 ? "nan" : "");
        eq_str_add(&without, "clip%d,%d\n", k, 30 + k);
    }
    struct eq_dataset a = accept(without.s), unknown = accept(with.s),
                      off = accept_as(with.s, &(struct eq_list_opts){.split_seed = 7, .patient_column = "none"});
    for (size_t i = 0; i < a.n; i++) {
        assert_int_equal(a.samples[i].split, off.samples[i].split);
        assert_int_equal(a.samples[i].split, unknown.samples[i].split);
        assert_int_equal(unknown.samples[i].patient, 0);
    }
    eq_dataset_clear(&a);
    eq_dataset_clear(&unknown);
    eq_dataset_clear(&off);
    eq_str_clear(&with);
    eq_str_clear(&without);
}

static void patients_in_two_splits_are_noted_without_their_names(void **state)
{
    (void)state;
    struct eq_dataset ds = accept("FileName,EF,Split,MRN\na,50,TRAIN,secret1\nb,51,VAL,12\nc,52,TEST,secret1\n"
                                  "d,53,TRAIN,12.0\ne,54,TRAIN,secret3\nf,55,TRAIN,secret3\ng,56,TEST,\nh,57,VAL,\n");
    assert_int_equal(ds.n_patients, 3);
    assert_int_equal(ds.patients_in_two_splits, 2);
    assert_int_equal(ds.n_notes, 1);
    has_note(&ds,
             "2 of 3 patients have clips in more than one split: patient 1 (lines 2 and 4), patient 2 (lines 3 and 5)");
    assert_null(strstr(ds.notes[0].text, "secret"));
    eq_dataset_clear(&ds);
    static const char list[] = "FileName,EF,Group,Case No\na,50,x,1\nb,51,x,1\nc,52,y,1\n";
    ds = accept_as(list, &(struct eq_list_opts){.patient_column = "group"});
    assert_int_equal(ds.n_patients, 2);
    eq_dataset_clear(&ds);
    ds = accept(list);
    assert_int_equal(ds.n_patients, 0);
    eq_dataset_clear(&ds);
    refuse_as(list, &(struct eq_list_opts){.patient_column = "Person"}, EQ_FORMAT,
              "no column \"Person\" (data.patient_column); the header has: FileName, EF, Group, Case No");
    ds = accept("FileName,EF,Patient\na,50,anonymous\nb,51,anonymous\nc,52,anonymous\nd,53,anonymous\n");
    has_note(&ds, "the column Patient knows 1 patient for 4 clips, too few for three splits");
    eq_dataset_clear(&ds);
    ds = accept("FileName,EF,MRN,PatientID\na,50,1,1\nb,51,1,2\n");
    has_note(&ds, "MRN and PatientID both look like patients");
    assert_int_equal(ds.n_patients, 1);
    eq_dataset_clear(&ds);
}

static void names_are_utf8(void **state)
{
    (void)state;
    struct eq_dataset ds = accept("FileName,EF\nM\xfcller.avi,50\nR\xc3\xb6ntgen,51\n");
    assert_string_equal(ds.samples[0].file_name, "M\xc3\xbcller");
    assert_string_equal(ds.samples[1].file_name, "R\xc3\xb6ntgen");
    eq_dataset_clear(&ds);
    refuse("FileName,EF\nM\xfcller,50\nM\xc3\xbcller,51\n", "FileName \"M\xc3\xbcller\" is already in line 2");
    refuse("FileName,EF\na,x\033[2Jy\n", "EF \"x\\x1b[2Jy\" is not a number");
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
    assert_int_equal(
        eq_filelist_parse(text.s, text.len, "x", NULL, &(struct eq_list_opts){.split_seed = seed}, &ds, NULL), EQ_OK);
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
    assert_int_in_range(same, 80, 135); /* 0.535 * 200 = 107 expected of two independent splits */
    assert_int_in_range(runs, 60, 125); /* neighbors in name are no neighbors in split: 92 expected */
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
    assert_int_equal(eq_dataset_open(dir, &(struct eq_list_opts){.split_seed = 1}, &ds, &err), EQ_OK);
    const char *const ends[] = {"/flat.avi", "/Videos/below.avi", "/Videos/other.mp4"};
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(ds.samples[i].path, ends[i]));
    assert_string_equal(ds.dir, dir);
    eq_dataset_clear(&ds);

    put(dir, "FileList.csv", "FileName,EF\nflat,1\nabsent,2\nVideos,3\n");
    assert_int_equal(eq_dataset_open(dir, &(struct eq_list_opts){.split_seed = 1}, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "FileList.csv:3: no file absent.avi in"));
    assert_int_equal(
        eq_dataset_open(dir, &(struct eq_list_opts){.split_seed = 1, .on_error = EQ_ON_ERROR_SKIP}, &ds, &err), EQ_OK);
    assert_int_equal(ds.n, 1);
    assert_int_equal(ds.n_skipped, 2); /* a folder is no clip */
    eq_dataset_clear(&ds);
    free(videos);
    test_dir_free(dir);
}

/* Opens dir with this list; the names of the files that were found, separated by blanks. */
static void finds(const char *dir, const char *list, const char *files)
{
    struct eq_dataset ds;
    struct eq_err err = {0};
    struct eq_str found = {0};
    put(dir, "FileList.csv", list);
    if (eq_dataset_open(dir, &(struct eq_list_opts){0}, &ds, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < ds.n; i++)
        eq_str_add(&found, "%s%s", i ? " " : "", ds.samples[i].path + strlen(dir) + 1);
    assert_string_equal(found.s, files);
    eq_str_clear(&found);
    eq_dataset_clear(&ds);
}

static void loses(const char *dir, const char *list, const char *message)
{
    struct eq_dataset ds;
    struct eq_err err = {0};
    put(dir, "FileList.csv", list);
    assert_int_not_equal(eq_dataset_open(dir, &(struct eq_list_opts){0}, &ds, &err), EQ_OK);
    if (!strstr(err.msg, message))
        fail_msg("the message is \"%s\", without \"%s\"", err.msg, message);
}

static void names_in_any_letter_case(void **state)
{
    (void)state;
    char *dir = test_dir_new(), *videos = eq_path_join(dir, "VIDEOS"), *below = eq_path_join(dir, "VIDEOS/Site_A");
    assert_int_equal(mkdir(videos, 0700), 0);
    assert_int_equal(mkdir(below, 0700), 0);
    static const char *const files[] = {"VIDEOS/p1.AVI", "VIDEOS/P2.Avi",    "VIDEOS/p3.avi",        "VIDEOS/p3.AVI",
                                        "VIDEOS/p4.mp4", "VIDEOS/p5.MOV",    "VIDEOS/Site_A/p6.avi", "VIDEOS/IM_0007",
                                        "VIDEOS/p8.dcm", "VIDEOS/p9.avi.avi"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put(dir, files[i], "x");
    finds(dir, "FileName,EF\np1,1\np2,2\n", "VIDEOS/p1.AVI VIDEOS/P2.Avi");
    finds(dir, "FileName,EF\np1.avi,1\nP2.AVI,2\n", "VIDEOS/p1.AVI VIDEOS/P2.Avi");
    finds(dir, "FileName,EF\np1.AVI,1\np2.Avi,2\n", "VIDEOS/p1.AVI VIDEOS/P2.Avi");
    finds(dir, "FileName,EF\np3,1\np4,2\np5.mov,3\n", "VIDEOS/p3.avi VIDEOS/p4.mp4 VIDEOS/p5.MOV");
    finds(dir, "FileName,EF\np3.AVI,1\np5,2\nIM_0007,3\n", "VIDEOS/p3.AVI VIDEOS/p5.MOV VIDEOS/IM_0007");
    finds(dir, "FileName,EF\np3.avi,1\np3.AVI,2\n", "VIDEOS/p3.avi VIDEOS/p3.AVI");
    finds(dir, "FileName,EF\nSite_A/p6,1\np8,2\n", "VIDEOS/Site_A/p6.avi VIDEOS/p8.dcm");
    finds(dir, "FileName,EF\nvideos/site_a/P6.avi,1\n", "VIDEOS/Site_A/p6.avi");
    finds(dir, "FileName,EF\nVideos\\Site_A\\p6.avi,1\nim_0007,2\n", "VIDEOS/Site_A/p6.avi VIDEOS/IM_0007");
    finds(dir, "FileName,EF\n./p9.avi.avi,1\n", "VIDEOS/p9.avi.avi");
    loses(dir, "FileName,EF\nP3,1\n", "FileName \"P3\" fits both p3.AVI and p3.avi");
    loses(dir, "FileName,EF\np3.Avi,1\n", "fits both");
    loses(dir, "FileName,EF\np4.avi,1\n", "no file p4.avi in ");
    loses(dir, "FileName,EF\np4.avi,1\n", "or its Videos folder, only p4.mp4");
    loses(dir, "FileName,EF\nsite_b/p6,1\n", "no file site_b/p6.avi in");
    loses(dir, "FileName,EF\n..\\x,1\n", "leads out of the data folder");
    loses(dir, "FileName,EF\nSite_A,1\n", "no file Site_A.avi");
    put(dir, "VIDEOS/p4.mov", "x");
    loses(dir, "FileName,EF\np4,1\n", "fits both p4.mp4 and p4.mov");
    free(below);
    free(videos);
    test_dir_free(dir);
}

static void names_in_any_encoding(void **state)
{
    (void)state;
    char *dir = test_dir_new();
    put(dir, "M\xfcller.avi", "x");
    put(dir, "R\xc3\xb6ntgen.avi", "x");
    put(dir, "Jose\xcc\x81.avi", "x");
    finds(dir, "FileName,EF\nM\xfcller,1\nR\xf6ntgen,2\nJos\xe9,3\n",
          "M\xfcller.avi R\xc3\xb6ntgen.avi Jose\xcc\x81.avi");
    finds(dir, "FileName,EF\nm\xc3\x9cLLER,1\nR\xc3\xb6ntgen,2\nJos\xc3\xa9,3\n",
          "M\xfcller.avi R\xc3\xb6ntgen.avi Jose\xcc\x81.avi");
    put(dir, "M\xc3\xbcller.avi", "x");
    finds(dir, "FileName,EF\nM\xfcller,1\n", "M\xfcller.avi");
    finds(dir, "FileName,EF\nM\xc3\xbcller,1\n", "M\xc3\xbcller.avi");
    test_dir_free(dir);
}

static void one_file_under_two_names(void **state)
{
    (void)state;
    char *dir = test_dir_new(), *videos = eq_path_join(dir, "Videos");
    assert_int_equal(mkdir(videos, 0700), 0);
    put(dir, "Videos/p1.avi", "x");
    put(dir, "Videos/p2.avi", "x");
    char *p1 = eq_path_join(dir, "Videos/p1.avi"), *hard = eq_path_join(dir, "hard.avi"),
         *soft = eq_path_join(dir, "soft.avi"), *nowhere = eq_path_join(dir, "nowhere.avi");
    assert_int_equal(link(p1, hard), 0);
    assert_int_equal(symlink(p1, soft), 0);
    assert_int_equal(symlink("/does/not/exist", nowhere), 0);
    loses(dir, "FileName,EF,Split\np1,1,TRAIN\np2,2,TRAIN\n./p1.avi,1,TEST\n",
          "FileList.csv:4: FileName \"./p1.avi\" is the same file as \"p1\" in line 2");
    loses(dir, "FileName,EF\np1,1\nVideos/p1.avi,1\n", "\"Videos/p1.avi\" is the same file as \"p1\" in line 2");
    loses(dir, "FileName,EF\np1,1\nhard,1\n", "FileList.csv:3: FileName \"hard\" is the same file as \"p1\" in line 2");
    loses(dir, "FileName,EF\nsoft,1\np1,1\n", "FileName \"p1\" is the same file as \"soft\" in line 2");
    loses(dir, "FileName,EF\nnowhere,1\n", "nowhere.avi is a link to a file that does not exist");
    finds(dir, "FileName,EF\nsoft,1\np2,1\n", "soft.avi Videos/p2.avi");
    free(p1);
    free(hard);
    free(soft);
    free(nowhere);
    free(videos);
    test_dir_free(dir);
}

static void lists_in_other_places(void **state)
{
    (void)state;
    char *dir = test_dir_new(), *below = eq_path_join(dir, "A4C");
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(mkdir(below, 0700), 0);
    put(dir, "A4C/filelist.CSV", "FileName,EF\nx,1\n");
    put(dir, "A4C/x.avi", "x");
    assert_int_equal(eq_dataset_open(dir, &(struct eq_list_opts){0}, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "there is one in "));
    assert_non_null(strstr(err.msg, "/A4C"));
    assert_int_equal(eq_dataset_open(below, &(struct eq_list_opts){0}, &ds, &err), EQ_OK);
    eq_dataset_clear(&ds);
    free(below);
    test_dir_free(dir);
}

static void folders_that_are_none(void **state)
{
    (void)state;
    char *dir = test_dir_new();
    struct eq_dataset ds;
    struct eq_err err = {0};
    assert_int_equal(
        eq_dataset_open(dir, &(struct eq_list_opts){.split_seed = 1, .on_error = EQ_ON_ERROR_SKIP}, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "FileList.csv: no such file"));
    put(dir, "file", "x");
    char *file = eq_path_join(dir, "file"), *absent = eq_path_join(dir, "absent");
    assert_int_equal(
        eq_dataset_open(file, &(struct eq_list_opts){.split_seed = 1, .on_error = EQ_ON_ERROR_SKIP}, &ds, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "is not a folder"));
    assert_int_equal(
        eq_dataset_open(absent, &(struct eq_list_opts){.split_seed = 1, .on_error = EQ_ON_ERROR_SKIP}, &ds, &err),
        EQ_IO);
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
        cmocka_unit_test(splits_without_clips),
        cmocka_unit_test(bad_text),
        cmocka_unit_test(skipping_keeps_the_good_rows),
        cmocka_unit_test(other_separators),
        cmocka_unit_test(fractions_and_constants),
        cmocka_unit_test(folds),
        cmocka_unit_test(patients_stay_together),
        cmocka_unit_test(spellings_of_a_patient),
        cmocka_unit_test(the_split_of_names_is_untouched_by_a_column_that_is_off),
        cmocka_unit_test(patients_in_two_splits_are_noted_without_their_names),
        cmocka_unit_test(names_are_utf8),
        cmocka_unit_test(split_ignores_the_order_of_rows),
        cmocka_unit_test(small_sets_get_all_three),
        cmocka_unit_test(clips_are_found_flat_and_under_videos),
        cmocka_unit_test(names_in_any_letter_case),
        cmocka_unit_test(names_in_any_encoding),
        cmocka_unit_test(one_file_under_two_names),
        cmocka_unit_test(lists_in_other_places),
        cmocka_unit_test(folders_that_are_none),
        cmocka_unit_test(plain_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
