/*
 * A training run that is stopped anywhere and goes on comes to the bits of one that wasn't: killed before and after
 * every step, around every checkpoint, in the middle of writing a file, and asked to stop at every step. And what is
 * said of a state that is damaged or another's.
 *
 * Each run is a process of its own, so that it can really die; this one starts no threads before the last tests.
 */
#include "unit/trainer_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Where a run stops: at the n-th passage, counted from 1, of a place; 0: never. */
struct stop {
    enum { NOWHERE, BEFORE_STEP, AFTER_STEP, BEFORE_SAVE, AFTER_SAVE, WHILE_WRITING } place;
    int at, signal;
    long file_limit; /* WHILE_WRITING: a file that grows beyond dies, and the process with it */
    int passed;
};

static void pass(struct stop *s, int place)
{
    if ((int)s->place == place && ++s->passed == s->at)
        raise(s->signal);
}

static void before_step(void *ctx)
{
    pass(ctx, BEFORE_STEP);
}

static void after_step(void *ctx)
{
    pass(ctx, AFTER_STEP);
}

/* Stops around the write of an epoch's model: the linker gives the library's calls to this one (--wrap). */
static struct stop *around_save;
enum eq_status __real_eq_model_save(const char *path, const struct eq_graph *g, struct eq_err *err);
enum eq_status __wrap_eq_model_save(const char *path, const struct eq_graph *g, struct eq_err *err);
enum eq_status __wrap_eq_model_save(const char *path, const struct eq_graph *g, struct eq_err *err)
{
    pass(around_save, BEFORE_SAVE);
    enum eq_status st = __real_eq_model_save(path, g, err);
    pass(around_save, AFTER_SAVE);
    return st;
}

static bool weigh_start; /* of every run */

static void job_of(struct tiny_job *job, struct tiny_watch *watch, const char *dir, int accumulate, struct stop *s)
{
    *watch = (struct tiny_watch){.before_forward = before_step, .after_step = after_step, .ctx = s};
    tiny_job_init(job, dir, watch);
    around_save = s;
    job->job.accumulate = accumulate;
    job->job.ema = 0.8;
    job->job.weigh_start = weigh_start;
    if (weigh_start)
        job->job.optim.lr = 1e-7; /* so that epochs are not always better */
}

static void run_child(const char *dir, int accumulate, struct stop *s)
{
    const struct rlimit no_core = {0, 0}, limit = {(rlim_t)s->file_limit, (rlim_t)s->file_limit};
    struct tiny_run r;
    struct eq_err err = {0};
    struct tiny_job job;
    struct tiny_watch watch;
    job_of(&job, &watch, dir, accumulate, s);
    eq_log_configure(EQ_LOG_ERROR);
    setrlimit(RLIMIT_CORE, &no_core);
    if (s->place == WHILE_WRITING)
        setrlimit(RLIMIT_FSIZE, &limit);
    eq_signals_install();
    signal(SIGXFSZ, SIG_DFL);  /* the kill in the middle of a write that a test asks for */
    if (start_threads(1) != 0) /* many short processes: what threads do is tested elsewhere */
        _exit(99);
    tiny_run_open(&r, &job);
    enum eq_status st = eq_trainer_run(&r.t, r.model_path, &err);
    if (st != EQ_OK && st != EQ_INTERRUPTED)
        fprintf(stderr, "%s\n", err.msg);
    tiny_run_close(&r); /* joins the loaders' threads, which ThreadSanitizer asks for */
    _exit(eq_exit_code(st));
}

/* Its exit code, or minus the signal that ended it. */
static int run_process(const char *dir, int accumulate, struct stop s)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_child(dir, accumulate, &s);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void assert_same_file(const char *dir_a, const char *dir_b, const char *name)
{
    char *a = eq_path_join(dir_a, name), *b = eq_path_join(dir_b, name);
    size_t len_a, len_b;
    uint8_t *bytes_a = test_read(a, &len_a), *bytes_b = test_read(b, &len_b);
    if (len_a != len_b || memcmp(bytes_a, bytes_b, len_a) != 0)
        fail_msg("%s and %s differ", a, b);
    eq_free(bytes_a);
    eq_free(bytes_b);
    free(a);
    free(b);
}

/* The history without its last two columns, times. */
static struct eq_str history_of(const char *dir)
{
    char *path = eq_path_join(dir, "history/fp32.csv");
    size_t len;
    char *text = (char *)test_read(path, &len);
    struct eq_str out = {0};
    for (size_t at = 0; at < len;) {
        size_t line = strcspn(text + at, "\n"), keep = line;
        for (int columns = 0; keep > 0 && columns < 2;)
            columns += text[at + --keep] == ',';
        eq_str_add(&out, "%.*s\n", (int)keep, text + at);
        at += line + 1;
    }
    eq_free(text);
    free(path);
    return out;
}

static void assert_same_run(const char *a, const char *b)
{
    struct eq_str x = history_of(a), y = history_of(b);
    assert_same_file(a, b, "fp32.safetensors");
    assert_string_equal(x.s, y.s);
    eq_str_clear(&x);
    eq_str_clear(&y);
}

static const struct stop never = {.place = NOWHERE};

/* Stops a fresh run there, lets it go on, and compares. False when it never came there. */
static bool stopped_and_resumed(const char *whole, int accumulate, struct stop s)
{
    static int number;
    struct eq_str name = {0};
    eq_str_add(&name, "stopped%d", number++);
    char *dir = tiny_run_dir(name.s);
    int code = run_process(dir, accumulate, s), expected = s.signal == SIGTERM ? 130 : -s.signal;
    bool stopped = code == expected;
    if (!stopped && code != 0)
        fail_msg("place %d, passage %d: ended with %d", s.place, s.at, code);
    if (stopped)
        assert_int_equal(run_process(dir, accumulate, never), 0);
    assert_same_run(whole, dir);
    eq_str_clear(&name);
    free(dir);
    return stopped;
}

static void killed_around_every_step(void **state)
{
    (void)state;
    char *whole = tiny_run_dir("whole");
    assert_int_equal(run_process(whole, 1, never), 0);
    for (int at = 1; at <= 12; at++) {
        assert_true(stopped_and_resumed(whole, 1, (struct stop){.place = AFTER_STEP, .at = at, .signal = SIGKILL}));
        if (at % 6 == 1)
            assert_true(
                stopped_and_resumed(whole, 1, (struct stop){.place = BEFORE_STEP, .at = at, .signal = SIGKILL}));
    }
    free(whole);
}

static void killed_around_every_checkpoint(void **state)
{
    (void)state;
    char *whole = eq_path_join(tiny_dir, "whole");
    int stopped = 0;
    for (int at = 1; at <= 3; at++) {
        stopped += stopped_and_resumed(whole, 1, (struct stop){.place = BEFORE_SAVE, .at = at, .signal = SIGKILL});
        stopped += stopped_and_resumed(whole, 1, (struct stop){.place = AFTER_SAVE, .at = at, .signal = SIGKILL});
    }
    assert_true(stopped >= 2);
    free(whole);
}

/* The best model has some 700 KB, the state, with moments and averages, four times as much. */
static void killed_in_the_middle_of_a_file(void **state)
{
    (void)state;
    const long limits[] = {4096, 690000, 2500000};
    char *whole = eq_path_join(tiny_dir, "whole");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        assert_true(stopped_and_resumed(
            whole, 1, (struct stop){.place = WHILE_WRITING, .signal = SIGXFSZ, .file_limit = limits[i]}));
    free(whole);
}

/* Again and again in one folder, each time a step or two further than the last state reaches. */
static void killed_many_times(void **state)
{
    (void)state;
    char *whole = eq_path_join(tiny_dir, "whole"), *dir = tiny_run_dir("often");
    for (int at = 1; at <= 4; at++) {
        assert_int_equal(run_process(dir, 1, (struct stop){.place = AFTER_STEP, .at = at, .signal = SIGKILL}),
                         -SIGKILL);
        assert_int_equal(run_process(dir, 1, (struct stop){.place = AFTER_STEP, .at = 2, .signal = SIGTERM}), 130);
    }
    assert_int_equal(run_process(dir, 1, never), 0);
    assert_same_run(whole, dir);
    free(whole);
    free(dir);
}

/* SIGTERM finishes the step, all of its micro-batches. */
static void asked_to_stop_at_every_step(void **state)
{
    (void)state;
    for (int accumulate = 1; accumulate <= 2; accumulate++) {
        char *whole = tiny_run_dir(accumulate == 1 ? "whole1" : "whole2");
        assert_int_equal(run_process(whole, accumulate, never), 0);
        for (int at = 1; at <= 12; at += accumulate == 1 ? 3 : 4)
            assert_true(stopped_and_resumed(whole, accumulate,
                                            (struct stop){.place = BEFORE_STEP, .at = at, .signal = SIGTERM}));
        free(whole);
    }
}

/* Epoch 0 is kept like the others: its row, and its model while nothing is better. */
static void killed_around_the_start(void **state)
{
    (void)state;
    weigh_start = true;
    char *whole = tiny_run_dir("weighed");
    assert_int_equal(run_process(whole, 1, never), 0);
    struct eq_str history = history_of(whole);
    assert_non_null(strstr(history.s, "\n0,nan,nan,"));
    for (int at = 1; at <= 2; at++) {
        stopped_and_resumed(whole, 1, (struct stop){.place = BEFORE_SAVE, .at = at, .signal = SIGKILL});
        stopped_and_resumed(whole, 1, (struct stop){.place = AFTER_SAVE, .at = at, .signal = SIGKILL});
    }
    for (int at = 1; at <= 9; at += 4) {
        assert_true(stopped_and_resumed(whole, 1, (struct stop){.place = AFTER_STEP, .at = at, .signal = SIGKILL}));
        assert_true(stopped_and_resumed(whole, 1, (struct stop){.place = BEFORE_STEP, .at = at, .signal = SIGTERM}));
    }
    weigh_start = false;
    eq_str_clear(&history);
    free(whole);
}

/* ---- states that can't be gone on with ----------------------------------- */

static const float poisoned[8] = {1, 1, 1, 1, 1, 1, 1, NAN};

/* One damage: a tensor ("-name" gone, "#name" of another type, "!name" of another size, "~name" with a NaN), or a value
 * of the metadata. */
static void damage(struct eq_st_file *f, const char *what, const char *value)
{
    if (value) {
        for (size_t i = 0; i < f->n_meta; i++)
            if (strcmp(f->meta_keys[i], what) == 0) {
                free(f->meta_values[i]);
                f->meta_values[i] = eq_strdup(value);
                return;
            }
        fail_msg("no metadata %s", what);
    }
    struct eq_st_tensor *t = find_tensor(f, what + 1);
    if (what[0] == '-')
        t->name[0] = '_';
    else if (what[0] == '#')
        t->value.dtype = EQ_S32;
    else if (what[0] == '~')
        t->value.data = (void *)poisoned;
    else
        t->value.shape[0]--;
}

static void state_refused(const char *dir, const char *what, const char *value, enum eq_status status, const char *text)
{
    struct tiny_job job;
    struct tiny_watch watch;
    struct stop nowhere = {0};
    job_of(&job, &watch, dir, 1, &nowhere);
    struct tiny_run r;
    struct eq_st_file f;
    tiny_run_open(&r, &job);
    char *path = eq_trainer_state_path(&r.t, "state");
    size_t len;
    uint8_t *good = test_read(path, &len);
    assert_ok(eq_st_read(path, &f, &err));
    damage(&f, what, value);
    assert_ok(eq_st_write(path, &f, &err));
    assert_refused(eq_trainer_run(&r.t, r.model_path, &err), status, text);
    assert_refused(eq_trainer_run(&r.t, r.model_path, &err), status, path);
    test_write(path, good, len);
    eq_st_clear(&f);
    eq_free(good);
    free(path);
    tiny_run_close(&r);
}

/* States of version 0.1.0 lack the norms of the gradient. A run goes on from them with the same model; the norms of
 * what was done before are unknown. */
static void states_without_norms_go_on(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("no_norms"), *whole = eq_path_join(tiny_dir, "whole");
    struct tiny_job job;
    struct tiny_watch watch;
    struct stop nowhere = {0};
    struct tiny_run r;
    struct eq_st_file f;
    double lr, mae;
    assert_int_equal(run_process(dir, 1, (struct stop){.place = AFTER_STEP, .at = 6, .signal = SIGTERM}), 130);
    job_of(&job, &watch, dir, 1, &nowhere);
    tiny_run_open(&r, &job);
    char *path = eq_trainer_state_path(&r.t, "state");
    assert_ok(eq_st_read(path, &f, &err));
    assert_int_equal(sscanf(eq_st_meta(&f, "history"), "1 %lf %*f %lf", &lr, &mae), 2);
    char *old = eq_format("1 %.17g 0.5 %.17g 9 2\n", lr, mae);
    damage(&f, "history", old);
    for (size_t i = 0; i < f.n_meta; i++)
        if (strncmp(f.meta_keys[i], "norm_", 5) == 0)
            f.meta_keys[i][0] = '_';
    assert_ok(eq_st_write(path, &f, &err));
    assert_ok(eq_trainer_run(&r.t, r.model_path, &err));
    assert_same_file(whole, dir, "fp32.safetensors");
    assert_int_equal(r.t.n_history, 3);
    assert_true(isnan(r.t.history[0].grad_norm) && isnan(r.t.history[0].grad_norm_max)); /* the file has none */
    assert_true(isnan(r.t.history[1].grad_norm) && isnan(r.t.history[1].grad_norm_max)); /* begun before */
    assert_true(r.t.history[2].grad_norm > 0 && r.t.history[2].grad_norm_max >= r.t.history[2].grad_norm);
    free(old);
    eq_st_clear(&f);
    free(path);
    tiny_run_close(&r);
    free(whole);
    free(dir);
}

static void damaged_states_are_named(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("damaged"), *whole = eq_path_join(tiny_dir, "whole");
    assert_int_equal(run_process(dir, 1, (struct stop){.place = AFTER_STEP, .at = 6, .signal = SIGTERM}), 130);
    state_refused(dir, "-param.layer3.1.bn1.running_var", NULL, EQ_FORMAT, "param.layer3.1.bn1.running_var is missing");
    state_refused(dir, "-m.fc.weight", NULL, EQ_FORMAT, "m.fc.weight is missing");
    state_refused(dir, "-v.conv1.weight", NULL, EQ_FORMAT, "v.conv1.weight is missing");
    state_refused(dir, "-ema.bn1.running_mean", NULL, EQ_FORMAT, "ema.bn1.running_mean is missing");
    state_refused(dir, "#v.bn1.bias", NULL, EQ_FORMAT, "v.bn1.bias has the wrong type");
    state_refused(dir, "!param.bn1.weight", NULL, EQ_FORMAT, "param.bn1.weight has the wrong type or size");
    state_refused(dir, "~m.bn1.weight", NULL, EQ_NUMERIC, "m.bn1.weight has a value that is not finite");
    state_refused(dir, "format", "echoquant-state-0", EQ_FORMAT, "not a training state of this version");
    state_refused(dir, "epoch", "99", EQ_FORMAT, "epoch is missing or out of range");
    state_refused(dir, "batch_in_epoch", "-1", EQ_FORMAT, "batch_in_epoch");
    state_refused(dir, "batch_in_epoch", "3", EQ_FORMAT, "contradict each other");
    state_refused(dir, "optimizer_step", "5", EQ_FORMAT, "contradict each other");
    state_refused(dir, "best_epoch", "2", EQ_FORMAT, "best_epoch");
    state_refused(dir, "best_mae", "low", EQ_FORMAT, "best_mae");
    state_refused(dir, "loss_sum", "", EQ_FORMAT, "loss_sum");
    state_refused(dir, "norm_sum", "low", EQ_FORMAT, "norm_sum is missing or not a number");
    state_refused(dir, "norm_max", "", EQ_FORMAT, "norm_max is missing or not a number");
    state_refused(dir, "history", "1 2 3\n", EQ_FORMAT, "history");
    state_refused(dir, "history", "1 2 3 4 5 6 7\n", EQ_FORMAT, "the history cannot be read");
    state_refused(dir, "history", "1 2 3 4 5 6 7 8 9 10\n", EQ_FORMAT, "the history cannot be read");
    state_refused(dir, "history", "1 2 3 4 5 6 7 8\n\n", EQ_FORMAT, "the history cannot be read");
    state_refused(dir, "history", "", EQ_FORMAT, "a history of 0 epochs in a state of epoch 1");
    /* Settings that changed are named, and only those. */
    state_refused(dir, "signature", "a=1\nb=3\n", EQ_USAGE, "with other settings (b=3 -> b=2)");
    state_refused(dir, "signature", "a=1\n", EQ_USAGE, "b=2");
    assert_int_equal(run_process(dir, 1, never), 0); /* the state itself was good */
    assert_same_run(whole, dir);
    free(whole);
    free(dir);
}

/* The state refers to the best model so far: without it the run could end with a worse one. */
static void a_lost_checkpoint_is_told(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("lost");
    assert_int_equal(run_process(dir, 1, (struct stop){.place = AFTER_STEP, .at = 6, .signal = SIGTERM}), 130);
    struct tiny_job job;
    struct tiny_watch watch;
    struct stop nowhere = {0};
    job_of(&job, &watch, dir, 1, &nowhere);
    struct tiny_run r;
    tiny_run_open(&r, &job);
    char *best = eq_trainer_state_path(&r.t, "best");
    assert_int_equal(unlink(best), 0);
    assert_refused(eq_trainer_run(&r.t, r.model_path, &err), EQ_IO, "fp32.best.safetensors is missing");
    free(best);
    tiny_run_close(&r);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_around_every_step),       cmocka_unit_test(killed_around_every_checkpoint),
        cmocka_unit_test(killed_in_the_middle_of_a_file), cmocka_unit_test(killed_many_times),
        cmocka_unit_test(asked_to_stop_at_every_step),    cmocka_unit_test(killed_around_the_start),
        cmocka_unit_test(damaged_states_are_named),       cmocka_unit_test(states_without_norms_go_on),
        cmocka_unit_test(a_lost_checkpoint_is_told),
    };
    return cmocka_run_group_tests(tests, tiny_data_make, tiny_data_remove);
}
