/* CPU levels, the clock, signals, and what log and progress write (stderr sent to a file, or to a pseudo-terminal). */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"
#include "base/cpu.h"
#include "base/steps.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void isa_names_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < EQ_ISA_COUNT; i++) {
        enum eq_isa isa = EQ_ISA_COUNT;
        assert_true(eq_isa_parse(eq_isa_name((enum eq_isa)i), &isa));
        assert_int_equal(isa, i);
    }
    enum eq_isa isa;
    assert_false(eq_isa_parse("sse9", &isa));
    assert_false(eq_isa_parse("", &isa));
    assert_string_equal(eq_isa_name(EQ_ISA_AVX512VNNI), "avx512vnni");
}

/* The kernel lists in /proc/cpuinfo what it lets programs use: an independent witness. */
static bool system_lists(const char *flag)
{
    void *text;
    size_t len;
    assert_int_equal(eq_read_file("/proc/cpuinfo", 64 << 20, &text, &len, NULL), EQ_OK);
    size_t n = strlen(flag);
    bool found = false;
    for (char *p = strstr(text, flag); p && !found; p = strstr(p + 1, flag))
        found = p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n');
    eq_free(text);
    return found;
}

static void detection_agrees_with_the_system(void **state)
{
    (void)state;
    assert_true(eq_cpu_has(EQ_ISA_REF));
#if defined(__x86_64__)
    bool avx2 = system_lists("avx2") && system_lists("fma") && system_lists("f16c");
    bool avx512 = avx2 && system_lists("avx512f") && system_lists("avx512bw") && system_lists("avx512dq") &&
                  system_lists("avx512vl");
    assert_int_equal(eq_cpu_has(EQ_ISA_AVX2), avx2);
    assert_int_equal(eq_cpu_has(EQ_ISA_AVX512), avx512);
    assert_int_equal(eq_cpu_has(EQ_ISA_AVX512VNNI), avx512 && system_lists("avx512_vnni"));
    if (eq_cpu_has(EQ_ISA_AMX)) /* older kernels grant AMX without listing all of it */
        assert_true(eq_cpu_has(EQ_ISA_AVX512VNNI));
    assert_false(eq_cpu_has(EQ_ISA_NEON));
#elif defined(__aarch64__)
    assert_int_equal(eq_cpu_has(EQ_ISA_NEON), system_lists("asimd"));
    assert_int_equal(eq_cpu_has(EQ_ISA_NEONDOT), system_lists("asimddp"));
    assert_false(eq_cpu_has(EQ_ISA_AVX2));
#endif
    assert_false(eq_cpu_has(EQ_ISA_COUNT));
    assert_true(eq_cpu_model_name()[0] != '\0');
}

static void ceiling_caps_what_is_used(void **state)
{
    (void)state;
    struct eq_err err = {0};
    for (int top = 0; top < EQ_ISA_COUNT; top++) {
        const char *name = eq_isa_name((enum eq_isa)top);
        if (!eq_cpu_has((enum eq_isa)top)) {
            assert_int_equal(eq_cpu_set_ceiling(name, &err), EQ_UNSUPPORTED);
            assert_non_null(strstr(err.msg, name));
            assert_non_null(strstr(err.msg, "auto ref"));
            continue;
        }
        assert_int_equal(eq_cpu_set_ceiling(name, &err), EQ_OK);
        assert_string_equal(eq_cpu_isa_in_use(), name);
        for (int i = 0; i < EQ_ISA_COUNT; i++)
            assert_int_equal(eq_cpu_use((enum eq_isa)i), eq_cpu_has((enum eq_isa)i) && i <= top);
    }
    assert_int_equal(eq_cpu_set_ceiling("pentium", &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "\"pentium\" is not an ISA level"));
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
    for (int i = 0; i < EQ_ISA_COUNT; i++)
        assert_int_equal(eq_cpu_use((enum eq_isa)i), eq_cpu_has((enum eq_isa)i));
}

static void cpu_count_follows_affinity(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_in_range(eq_cpu_count(), 1, CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(eq_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* Puts text into <scratch folder>/<path>. */
static void put(const char *root, const char *path, const char *text)
{
    char *whole = eq_path_join(root, path), *folder = eq_strdup(whole);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(eq_make_dirs(folder, NULL), EQ_OK);
    assert_int_equal(eq_write_file(whole, text, strlen(text), NULL), EQ_OK);
    free(folder);
    free(whole);
}

/* One row a situation: /proc/self/cgroup, up to three files below /sys/fs/cgroup, the CPUs that they leave. */
static void cgroup_quotas(void **state)
{
    (void)state;
    static const struct {
        const char *own, *files[3][2];
        int cpus;
    } cases[] = {
        {"0::/\n", {{"cpu.max", "max 100000\n"}}, 0},
        {"0::/\n", {{"cpu.max", "200000 100000\n"}}, 2},
        {"0::/\n", {{"cpu.max", "765000 100000\n"}}, 7}, /* rounded down */
        {"0::/\n", {{"cpu.max", "20000 100000\n"}}, 1},
        {"0::/\n", {{"cpu.max", "50000\n"}}, 0}, /* not what the kernel writes */
        {"0::/\n", {{"cpu.max", "-5 100000\n"}}, 0},
        {"0::/\n", {{"cpu.max", ""}}, 0},
        {"0::/\n", {{NULL}}, 0},
        {"", {{"cpu.max", "300000 100000\n"}}, 3},
        /* The own group, and the groups around it. */
        {"0::/user.slice/job7\n", {{"user.slice/job7/cpu.max", "300000 100000\n"}}, 3},
        {"0::/user.slice/job7\n",
         {{"user.slice/job7/cpu.max", "max 100000\n"}, {"user.slice/cpu.max", "400000 100000\n"}},
         4},
        {"0::/a/b\n", {{"a/b/cpu.max", "300000 100000\n"}, {"a/cpu.max", "200000 100000\n"}}, 2},
        {"0::/a/b\n", {{"a/b/cpu.max", "200000 100000\n"}, {"a/cpu.max", "300000 100000\n"}}, 2},
        {"0::/other\n", {{"a/cpu.max", "200000 100000\n"}}, 0},
        /* The host's path, in a container that sees its own group alone. */
        {"0::/docker/abc\n", {{"cpu.max", "200000 100000\n"}}, 2},
        {"0::/../abc\n", {{"cpu.max", "200000 100000\n"}}, 2},
        /* Version 1. */
        {"4:cpu,cpuacct:/\n", {{"cpu/cpu.cfs_quota_us", "100000\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}}, 1},
        {"4:cpu,cpuacct:/\n", {{"cpu/cpu.cfs_quota_us", "-1\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}}, 0},
        {"4:cpu,cpuacct:/docker/abc\n",
         {{"cpu,cpuacct/cpu.cfs_quota_us", "765000\n"}, {"cpu,cpuacct/cpu.cfs_period_us", "100000\n"}},
         7},
        {"9:cpuset:/x\n7:cpuacct,cpu:/job\n0::/\n",
         {{"cpuacct,cpu/job/cpu.cfs_quota_us", "50000\n"}, {"cpuacct,cpu/job/cpu.cfs_period_us", "20000\n"}},
         2},
        {"4:cpu:/\n", {{"cpu/cpu.cfs_quota_us", "100000\n"}}, 0}, /* no period */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[] = "/tmp/echoquant_cgroup_XXXXXX";
        assert_non_null(mkdtemp(root));
        put(root, "proc/self/cgroup", cases[i].own);
        for (int f = 0; f < 3 && cases[i].files[f][0]; f++) {
            char path[200];
            snprintf(path, sizeof path, "sys/fs/cgroup/%s", cases[i].files[f][0]);
            put(root, path, cases[i].files[f][1]);
        }
        int cpus = eq_cgroup_cpus(root);
        char command[100];
        snprintf(command, sizeof command, "rm -rf %s", root);
        assert_int_equal(system(command), 0);
        if (cpus != cases[i].cpus)
            fail_msg("case %zu (%s): %d CPUs instead of %d", i, cases[i].own, cpus, cases[i].cpus);
    }
    assert_int_equal(eq_cgroup_cpus("/no/such/root"), 0);
}

static void clock_runs_forward(void **state)
{
    (void)state;
    double a = eq_now_ms();
    usleep(20000);
    double b = eq_now_ms();
    assert_true(b - a >= 19.9 && b - a < 5000);
}

static void first_signal_asks_second_ends(void **state)
{
    (void)state;
    eq_signals_install();
    assert_false(eq_interrupted());
    raise(SIGTERM);
    assert_true(eq_interrupted());
    eq_interrupt_reset();
    assert_false(eq_interrupted());
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        raise(SIGINT);
        if (!eq_interrupted())
            _exit(1);
        raise(SIGINT);
        _exit(2); /* not reached */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
}

/* Sends stderr to fd, runs fn, puts stderr back. */
static void with_stderr(int fd, void (*fn)(enum eq_log_level), enum eq_log_level level)
{
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    eq_log_configure(level);
    fn(level);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    eq_log_configure(EQ_LOG_INFO);
}

/* All there is: a terminal hands it over in pieces, and never says that it was the last. */
static void read_back(int fd, char *text, size_t size)
{
    size_t used = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (used < size - 1 && poll(&ready, 1, 200) > 0) {
        ssize_t n = read(fd, text + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
}

static void written_to_file(void (*fn)(enum eq_log_level), enum eq_log_level level, char *text, size_t size)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    with_stderr(fileno(f), fn, level);
    lseek(fileno(f), 0, SEEK_SET);
    read_back(fileno(f), text, size);
    fclose(f);
}

static void written_to_terminal(void (*fn)(enum eq_log_level), enum eq_log_level level, char *text, size_t size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char name[128];
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || ptsname_r(master, name, sizeof name) != 0) {
        print_message("no pseudo-terminals here\n");
        skip();
    }
    int slave = open(name, O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    with_stderr(slave, fn, level);
    read_back(master, text, size);
    close(slave);
    close(master);
}

static void say_all(enum eq_log_level level)
{
    (void)level;
    eq_log(EQ_LOG_ERROR, "e%d", 1);
    eq_warn("w%d", 2);
    eq_info("i%d", 3);
    eq_debug("d%d", 4);
}

static void levels_decide_what_is_printed(void **state)
{
    (void)state;
    char text[1000];
    written_to_file(say_all, EQ_LOG_ERROR, text, sizeof text);
    assert_string_equal(text, "error: e1\n");
    written_to_file(say_all, EQ_LOG_INFO, text, sizeof text);
    assert_string_equal(text, "error: e1\nwarning: w2\ni3\n");
    written_to_file(say_all, EQ_LOG_DEBUG, text, sizeof text);
    assert_string_equal(text, "error: e1\nwarning: w2\ni3\ndebug: d4\n");
}

static void color_needs_a_terminal_and_no_objection(void **state)
{
    (void)state;
    char text[1000];
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    written_to_terminal(say_all, EQ_LOG_WARN, text, sizeof text);
    assert_non_null(strstr(text, "\033[1;31merror: \033[0me1"));
    setenv("NO_COLOR", "", 1); /* set, but empty: no objection */
    written_to_terminal(say_all, EQ_LOG_WARN, text, sizeof text);
    assert_non_null(strstr(text, "\033["));
    setenv("NO_COLOR", "1", 1);
    written_to_terminal(say_all, EQ_LOG_WARN, text, sizeof text);
    assert_null(strstr(text, "\033["));
    assert_non_null(strstr(text, "error: e1"));
    unsetenv("NO_COLOR");
}

/* Pretends to have started and last printed long ago instead of waiting. */
static void long_job(enum eq_log_level level)
{
    (void)level;
    struct eq_progress p;
    eq_progress_begin(&p, "train", "clip", 80);
    eq_progress_step(&p, 1, NULL); /* too early for a word */
    p.start_ms -= 20000;
    p.last_ms -= 20000;
    eq_progress_step(&p, 20, "loss 0.41");
    eq_progress_step(&p, 21, NULL); /* too early again */
    eq_info("a message");
    p.last_ms -= 20000;
    eq_progress_step(&p, 40, NULL);
    eq_progress_end(&p);
}

static void progress_in_a_file_is_plain_lines(void **state)
{
    (void)state;
    char text[2000];
    written_to_file(long_job, EQ_LOG_INFO, text, sizeof text);
    /* A busy machine adds milliseconds to the pretended times. */
    assert_int_equal(fnmatch("train  20/80 clip  */s  ETA 1:0?  loss 0.41\n"
                             "a message\n"
                             "train  40/80 clip  */s  ETA 0:2?  loss 0.41\n"
                             "train  40/80 clip  */s  in 0:2?  loss 0.41\n",
                             text, 0),
                     0);
    double rate;
    assert_int_equal(sscanf(text, "train 20/80 clip %lf", &rate), 1);
    assert_true(rate > 0.8 && rate <= 1);
    written_to_file(long_job, EQ_LOG_WARN, text, sizeof text);
    assert_string_equal(text, "");
}

static void progress_on_a_terminal_is_a_bar(void **state)
{
    (void)state;
    char text[2000];
    setenv("TERM", "xterm", 1);
    written_to_terminal(long_job, EQ_LOG_INFO, text, sizeof text);
    const char *bar = strstr(text, "train [######..................]  20/80 clip");
    assert_non_null(bar);
    const char *message = strstr(bar, "\r\033[Ka message"); /* the bar is wiped off before a line is written */
    assert_non_null(message);
    const char *half = strstr(message, "train [############............]  40/80");
    assert_non_null(half);
    assert_non_null(strstr(half, "in 0:2"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void long_messages(enum eq_log_level level)
{
    (void)level;
    eq_warn(
        "the first of two sentences is so long that it does not fit on a line of 80 columns. "
        "/a/path/that/is/longer/than/a/line/and/therefore/stays/whole/so/that/it/can/be/copied/from/it.avi ends it");
    eq_info("short  line");
}

static void long_messages_break_between_words_on_a_terminal(void **state)
{
    (void)state;
    char text[2000];
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    written_to_terminal(long_messages, EQ_LOG_INFO, text, sizeof text);
    unsetenv("NO_COLOR");
    assert_string_equal(text, "warning: the first of two sentences is so long that it does not fit on a line of\r\n"
                              "         80 columns.\r\n"
                              "         /a/path/that/is/longer/than/a/line/and/therefore/stays/whole/so/that/it/can/be/"
                              "copied/from/it.avi\r\n"
                              "         ends it\r\nshort  line\r\n");
    written_to_file(long_messages, EQ_LOG_INFO, text, sizeof text);
    assert_non_null(strstr(text, "of 80 columns. /a/path"));
}

/* Resumes at 60 of 80: the rate is that of this process. */
static void resumed_job(enum eq_log_level level)
{
    (void)level;
    struct eq_progress p;
    eq_progress_begin(&p, "train", "clips", 80);
    eq_progress_resume(&p, 60);
    p.start_ms -= 10000;
    p.last_ms -= 10000;
    eq_progress_step(&p, 70, NULL);
    eq_progress_end(&p);
}

static void a_resumed_job_has_its_own_rate(void **state)
{
    (void)state;
    char text[1000];
    double rate;
    written_to_file(resumed_job, EQ_LOG_INFO, text, sizeof text);
    assert_int_equal(sscanf(text, "train 70/80 clips %lf", &rate), 1);
    assert_true(rate > 0.5 && rate <= 1);
    assert_non_null(strstr(text, "ETA 0:1"));
}

/* Whatever is long in a line, the note is not cut off at 80 columns while the bar or the rate can give way. */
static void wide_job(enum eq_log_level level)
{
    (void)level;
    static const char *const labels[] = {"fp32 epoch 1/9", "fp32_plus epoch 12/30", "fp32_plus epoch 123/300 of a run"};
    for (int i = 0; i < 3; i++) {
        struct eq_progress p;
        eq_progress_begin(&p, labels[i], "batches", 2500);
        p.start_ms -= 20000;
        p.last_ms -= 20000;
        eq_progress_step(&p, 1234, "loss 0.4123");
        eq_progress_end(&p);
    }
}

static void a_bar_keeps_its_note(void **state)
{
    (void)state;
    char text[2000];
    setenv("TERM", "xterm", 1);
    written_to_terminal(wide_job, EQ_LOG_INFO, text, sizeof text);
    int lines = 0;
    for (char *save, *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
        size_t wiped = strncmp(line, "\033[K", 3) == 0 ? 3 : 0;
        if (!line[wiped])
            continue;
        lines++;
        assert_int_in_range(strlen(line + wiped), 1, 79);
        assert_non_null(strstr(line, "loss 0.4123"));
    }
    assert_int_equal(lines, 6);
}

static const struct eq_step three_steps[] = {{"train", 10}, {"quantize", 20}, {"report", 30}};

static void work_in_steps(enum eq_log_level level)
{
    (void)level;
    assert_true(eq_steps_begin(three_steps, 3));
    assert_false(eq_steps_begin(three_steps, 1));
    eq_steps_next(NULL);
    assert_true(eq_steps_seconds_left() < 0);
    eq_steps_part(0.5); /* resumed in the middle: half of the work is left for this process */
    assert_true(eq_steps_seconds_left() < 0);
    eq_steps_backdate(10000);
    eq_steps_part(0.75); /* 10 s for 2.5 units: 10 s for the rest of this step, 200 s for the others */
    assert_int_in_range((int)eq_steps_seconds_left(), 209, 212);
    struct eq_progress p;
    eq_progress_begin(&p, "epoch 1/2", "batches", 8);
    p.start_ms -= 10000;
    p.last_ms -= 10000;
    eq_progress_step(&p, 4, NULL);
    eq_progress_end(&p);
    eq_steps_next(NULL);
    eq_steps_backdate(5000);
    eq_steps_next(NULL);
    eq_steps_backdate(2000);
    eq_steps_next(NULL); /* more than were announced */
    eq_steps_end(true);
    assert_true(eq_steps_seconds_left() < 0);
}

/* A part that has become slow: the whole does not end before it. */
static void a_slow_part(enum eq_log_level level)
{
    (void)level;
    struct eq_progress p;
    assert_true(eq_steps_begin(three_steps, 1));
    eq_steps_next(NULL);
    eq_steps_part(0);
    eq_steps_backdate(10000);
    eq_steps_part(0.9);
    eq_progress_begin(&p, "epoch 2/2", "batches", 8);
    p.start_ms -= 10000;
    p.last_ms -= 10000;
    eq_progress_step(&p, 2, NULL);
    eq_steps_end(true);
}

static void the_whole_takes_no_less_than_a_part(void **state)
{
    (void)state;
    char text[500];
    written_to_file(a_slow_part, EQ_LOG_INFO, text, sizeof text);
    assert_non_null(strstr(text, "ETA 0:30, all 0:30"));
}

/* The first step has a pace of its own, and the work of the others is known only after it. */
static void a_check_and_work(enum eq_log_level level)
{
    (void)level;
    static const struct eq_step before[] = {{"check", 0}, {"train", NAN}, {"report", NAN}};
    static const struct eq_step after[] = {{"train", 10}, {"evaluate", 0}, {"report", 20}};
    assert_true(eq_steps_begin(before, 3));
    eq_steps_next(NULL);
    eq_steps_part(0);
    eq_steps_backdate(10000);
    eq_steps_part(0.5);
    assert_true(eq_steps_seconds_left() < 0);
    eq_steps_replan(after, 3);
    eq_steps_next(NULL);
    assert_true(eq_steps_seconds_left() < 0); /* 10 s of checking do not tell how long training takes */
    eq_steps_part(0);
    eq_steps_backdate(5000);
    eq_steps_part(0.5); /* 5 s for 5 units */
    assert_int_in_range((int)eq_steps_seconds_left(), 25, 27);
    eq_steps_next("something else");
    eq_steps_next("report");
    eq_steps_next("train"); /* is over */
    eq_steps_end(true);
}

static void a_step_of_its_own_pace_comes_first(void **state)
{
    (void)state;
    char text[2000];
    written_to_file(a_check_and_work, EQ_LOG_INFO, text, sizeof text);
    assert_int_equal(fnmatch("step 1 of 3: check\n"
                             "step 2 of 4: train\n"
                             "step 4 of 4: report; about 0:1? left in all\n"
                             "time: 0:15\n"
                             "   6?.? %  0:10  check\n"
                             "   3?.? %  0:05  train\n",
                             text, 0),
                     0);
}

static void steps_have_a_place_an_eta_and_a_summary(void **state)
{
    (void)state;
    char text[2000];
    written_to_file(work_in_steps, EQ_LOG_INFO, text, sizeof text);
    assert_int_equal(fnmatch("step 1 of 3: train\n"
                             "1/3 epoch 1/2  4/8 batches  0.[34]*/s  ETA 0:10, all 3:[23]?\n"
                             "1/3 epoch 1/2  4/8 batches  0.[34]*/s  in 0:10\n"
                             "step 2 of 3: quantize; about 1:4? left in all\n"
                             "step 3 of 3: report; about 0:1? left in all\n"
                             "time: 0:17\n"
                             "   5?.? %  0:10  train\n"
                             "   2?.? %  0:05  quantize\n"
                             "   1?.? %  0:02  report\n",
                             text, 0),
                     0);
    written_to_file(work_in_steps, EQ_LOG_WARN, text, sizeof text);
    assert_string_equal(text, "");
}

static void short_job(enum eq_log_level level)
{
    (void)level;
    struct eq_progress p;
    eq_progress_begin(&p, "quick", "clip", 2);
    eq_progress_step(&p, 2, NULL);
    eq_progress_end(&p);
}

static void a_short_job_is_silent(void **state)
{
    (void)state;
    char text[1000];
    written_to_file(short_job, EQ_LOG_INFO, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isa_names_round_trip),
        cmocka_unit_test(detection_agrees_with_the_system),
        cmocka_unit_test(ceiling_caps_what_is_used),
        cmocka_unit_test(cpu_count_follows_affinity),
        cmocka_unit_test(cgroup_quotas),
        cmocka_unit_test(clock_runs_forward),
        cmocka_unit_test(first_signal_asks_second_ends),
        cmocka_unit_test(levels_decide_what_is_printed),
        cmocka_unit_test(color_needs_a_terminal_and_no_objection),
        cmocka_unit_test(progress_in_a_file_is_plain_lines),
        cmocka_unit_test(progress_on_a_terminal_is_a_bar),
        cmocka_unit_test(long_messages_break_between_words_on_a_terminal),
        cmocka_unit_test(a_resumed_job_has_its_own_rate),
        cmocka_unit_test(a_bar_keeps_its_note),
        cmocka_unit_test(steps_have_a_place_an_eta_and_a_summary),
        cmocka_unit_test(a_step_of_its_own_pace_comes_first),
        cmocka_unit_test(the_whole_takes_no_less_than_a_part),
        cmocka_unit_test(a_short_job_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
