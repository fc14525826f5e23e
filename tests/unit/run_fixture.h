/* A run directory in /tmp with rows, predictions and whatever else a test writes there. */
#pragma once

#include "echoquant/rundir.h"
#include "unit/scratch_dir.h"

#include <math.h>
#include <string.h>

static void write_file(const char *name, const char *text)
{
    struct eq_err err;
    char *path = eq_path_join(dir, name), *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(eq_make_dirs(path, &err), EQ_OK);
    *slash = '/';
    assert_int_equal(eq_write_file(path, text, strlen(text), &err), EQ_OK);
    free(path);
}

static char *read_text(const char *name)
{
    struct eq_err err;
    void *data;
    size_t len;
    char *path = eq_path_join(dir, name);
    if (eq_read_file(path, 1 << 24, &data, &len, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    free(path);
    return data; /* eq_free */
}

static bool there(const char *name)
{
    char *path = eq_path_join(dir, name);
    bool exists = eq_path_may_exist(path);
    free(path);
    return exists;
}

/* size and median 0: a row without them. */
static void put_row(const char *model, const char *precision, double mae, double size, double median)
{
    struct eq_err err;
    struct eq_results r;
    struct eq_result row = eq_result_of(NULL);
    row.model = model;
    row.precision = precision;
    row.mae = mae;
    row.rmse = mae * 1.25;
    row.r2 = 0.5;
    row.clips = 100;
    if (size > 0) {
        row.size_mb = size;
        row.latency.min = median - 1, row.latency.median = median, row.latency.p95 = median + 1;
        row.threads = 2;
    }
    if (eq_results_open(dir, &r, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    eq_results_put(&r, &row);
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
}

static void put_experiment(void)
{
    put_row("Median", "-", 10, 0, 0);
    put_row("QAT", "INT8", 5.125, 11.2, 40);
    put_row("PTQ", "INT8", 5.5, 11.2, 50);
    put_row("FP32", "FP32", 5, 44.8, 100);
}

static void put_predictions(const char *name, double shift)
{
    struct eq_str text = {0};
    char path[96];
    eq_str_add(&text, "FileName,Split,EF,Prediction\n");
    for (int i = 0; i < 12; i++)
        eq_str_add(&text, "clip%d,TEST,%d,%g\n", i, 20 + 5 * i, 22 + 4.5 * i + shift);
    snprintf(path, sizeof path, "predictions/%s.csv", name);
    write_file(path, text.s);
    eq_str_clear(&text);
}

static inline void put_run(void)
{
    struct eq_err err;
    struct eq_results r;
    put_experiment();
    put_predictions("fp32", 0);
    put_predictions("ptq", 0.2);
    put_predictions("qat", -0.3);
    write_file("history/fp32.csv", "epoch,lr,train_loss,val_mae,val_rmse,seconds\n1,0.1,1,9,11,3\n2,0.1,0.5,6,8,3\n");
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    r.skipped = eq_list_grow(r.skipped, r.n_skipped, sizeof *r.skipped);
    r.skipped[r.n_skipped++] =
        (struct eq_result_skipped){NULL, "<b>&\"clip\"", "FileList.csv:3: <script>alert(1)</script>"};
    r.damaged = eq_list_grow(r.damaged, r.n_damaged, sizeof *r.damaged);
    r.damaged[r.n_damaged++] = (struct eq_result_skipped){NULL, "half", "the file is cut off"};
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
}
