/*
 * Runs a libFuzzer target without libFuzzer, for gcc builds and for ctest: every file of the corpus folders as it is,
 * then a fixed number of deterministic mutations of each. Not guided by coverage; -DECHOQUANT_FUZZ=ON with clang is.
 *
 *   fuzz_x [--mutations=N] [--seconds=S] CORPUS...
 *   fuzz_x --replay=FILE:N CORPUS...            runs mutation N of FILE only (0: the file itself), as a crash reports
 * it
 */
#include "echoquant/base.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_INPUT_BYTES = 1 << 20, DEFAULT_MUTATIONS = 2000, DEFAULT_SECONDS = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    char *path;
    uint8_t *data;
    size_t len;
};
struct corpus {
    struct input *files;
    size_t n, cap;
};
struct options {
    long mutations;
    double seconds;
    const char *replay_file;
    long replay_mutation;
};

/* What is running, for the report of a crash. */
static struct {
    const char *path;
    long mutation;
} current;

static void say_current(void)
{
    char text[512];
    int n = snprintf(text, sizeof text, "\nthe input was --replay=%s:%ld\n", current.path ? current.path : "?",
                     current.mutation);
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        _exit(1);
}

static void on_crash(int number)
{
    say_current();
    signal(number, SIG_DFL);
    raise(number);
}

/* A sanitizer ends the process without a signal; it offers this hook (absent without one). */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void report_crashes(void)
{
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_current);
        return;
    }
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], on_crash);
}

static void add_file(struct corpus *c, const char *path)
{
    struct eq_err err;
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 32;
        c->files = realloc(c->files, c->cap * sizeof *c->files);
        if (!c->files)
            abort();
    }
    struct input *in = &c->files[c->n++];
    void *data;
    if (eq_read_file(path, MAX_INPUT_BYTES, &data, &in->len, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    in->data = data;
    in->path = eq_strdup(path);
}

/* The folder's files in the order of their names; ends the process when there are none. */
static void add_folder(struct corpus *c, const char *dir)
{
    struct dirent **names;
    size_t before = c->n;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = eq_path_join(dir, names[i]->d_name);
        bool is_dir;
        if (names[i]->d_name[0] != '.' && eq_dir_look(path, &is_dir, NULL) == EQ_OK && !is_dir)
            add_file(c, path);
        free(path);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    if (c->n == before) {
        fprintf(stderr, "%s: no corpus files\n", dir);
        exit(1);
    }
}

static void free_corpus(struct corpus *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->files[i].path);
        eq_free(c->files[i].data);
    }
    free(c->files);
}

static size_t below(struct eq_rng *r, size_t n)
{
    return eq_rng_below(r, (uint32_t)n);
}

static void overwrite_number(struct eq_rng *r, uint8_t *data, size_t len)
{
    static const uint32_t edges[] = {0,      1,      0x7f,       0x80,        0xff,       0x7fff,
                                     0x8000, 0xffff, 0x7fffffff, 0x80000000u, 0xffffffffu};
    static const size_t widths[] = {1, 2, 4};
    uint32_t value = edges[below(r, sizeof edges / sizeof *edges)];
    size_t width = widths[below(r, 3)];
    if (len >= width)
        memcpy(data + below(r, len - width + 1), &value, width); /* little endian where it matters: AVI, safetensors */
}

/* Puts a piece of `from` into data at a random place, pushing the rest back; returns the new length. */
static size_t insert_piece(struct eq_rng *r, uint8_t *data, size_t len, const uint8_t *from, size_t from_len)
{
    if (from_len == 0)
        return len;
    size_t start = below(r, from_len), n = 1 + below(r, from_len - start), at = below(r, len + 1);
    if (n > MAX_INPUT_BYTES - len)
        n = MAX_INPUT_BYTES - len;
    memmove(data + at + n, data + at, len - at);
    memcpy(data + at, from + start, n);
    return len + n;
}

static size_t delete_piece(struct eq_rng *r, uint8_t *data, size_t len)
{
    size_t at = below(r, len), n = 1 + below(r, len - at);
    memmove(data + at, data + at + n, len - at - n);
    return len - n;
}

/* What texts are made of: breaks JSON and CSV more often than a random byte does. */
static const char text_chars[] = "0123456789-+.eE,:;\"'[]{}()\n\r\t \\/";

static size_t mutate_once(struct eq_rng *r, uint8_t *data, size_t len, const struct corpus *c)
{
    const struct input *other = &c->files[below(r, c->n)];
    if (len == 0)
        return insert_piece(r, data, len, other->data, other->len);
    switch (eq_rng_below(r, 8)) {
    case 0:
        return below(r, len); /* truncate */
    case 1:
        return delete_piece(r, data, len);
    case 2:
        return insert_piece(r, data, len, other->data, other->len);
    case 3:
        data[below(r, len)] = (uint8_t)eq_rng_u32(r);
        return len;
    case 4:
        overwrite_number(r, data, len);
        return len;
    case 5:
        data[below(r, len)] = (uint8_t)text_chars[below(r, sizeof text_chars - 1)];
        return len;
    default:
        data[below(r, len)] ^= (uint8_t)(1u << below(r, 8));
        return len;
    }
}

/* A copy of exactly len bytes: a read past the end is then a sanitizer's to see. */
static void run_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* Mutation 0 is the file itself. */
static void run_mutation(const struct corpus *c, const struct input *in, long mutation, uint8_t *scratch)
{
    const char *slash = strrchr(in->path, '/');
    const char *name = slash ? slash + 1 : in->path;
    struct eq_rng r;
    eq_rng_init(&r, eq_hash64(name, strlen(name)), EQ_RNG_TEST, 0, (uint32_t)mutation);
    size_t len = in->len;
    memcpy(scratch, in->data, len);
    if (mutation > 0)
        for (size_t i = 1 + below(&r, 6); i > 0; i--)
            len = mutate_once(&r, scratch, len, c);
    current.path = in->path;
    current.mutation = mutation;
    run_one(scratch, len);
}

/* Mutation 1 of every file, then 2, ...: when time runs out each file has had its share. */
static void run_all(const struct corpus *c, const struct options *o)
{
    uint8_t *scratch = eq_alloc(MAX_INPUT_BYTES, 1);
    if (!scratch)
        abort();
    double end = eq_now_ms() + o->seconds * 1e3;
    size_t runs = 0;
    bool in_time = true;
    run_one(scratch, 0);
    for (long m = 0; m <= o->mutations && in_time; m++) {
        for (size_t i = 0; i < c->n && in_time; i++) {
            run_mutation(c, &c->files[i], m, scratch);
            runs++;
            in_time = m == 0 || eq_now_ms() < end; /* the files themselves always run */
        }
    }
    eq_free(scratch);
    printf("%zu inputs ran without libFuzzer: %zu corpus files and %zu mutations%s\n", runs, c->n, runs - c->n,
           in_time ? "" : " (stopped by the time limit)");
}

static int replay(const struct corpus *c, const struct options *o)
{
    uint8_t *scratch = eq_alloc(MAX_INPUT_BYTES, 1);
    if (!scratch)
        abort();
    int rc = 1;
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->files[i].path, o->replay_file) != 0)
            continue;
        run_mutation(c, &c->files[i], o->replay_mutation, scratch);
        rc = 0;
    }
    eq_free(scratch);
    printf("%s\n", rc == 0 ? "1 input ran" : "no such file in the corpus");
    return rc;
}

static bool parse_option(char *arg, struct options *o)
{
    int64_t n;
    if (strncmp(arg, "--mutations=", 12) == 0 && eq_parse_int64(arg + 12, &n) && n >= 0 && n <= UINT32_MAX) {
        o->mutations = (long)n;
        return true;
    }
    if (strncmp(arg, "--seconds=", 10) == 0)
        return eq_parse_double(arg + 10, &o->seconds);
    char *colon = strrchr(arg, ':');
    if (strncmp(arg, "--replay=", 9) == 0 && colon && eq_parse_int64(colon + 1, &n) && n >= 0) {
        *colon = '\0';
        o->replay_file = arg + 9;
        o->replay_mutation = (long)n;
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct options o = {.mutations = DEFAULT_MUTATIONS, .seconds = DEFAULT_SECONDS};
    struct corpus c = {0};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            add_folder(&c, argv[i]);
        } else if (!parse_option(argv[i], &o)) {
            fprintf(stderr, "%s: unknown option or bad value\n", argv[i]);
            return 2;
        }
    }
    if (c.n == 0) {
        fprintf(stderr, "usage: %s [--mutations=N] [--seconds=S] [--replay=FILE:N] CORPUS...\n", argv[0]);
        return 2;
    }
    report_crashes();
    int rc = 0;
    if (o.replay_file)
        rc = replay(&c, &o);
    else
        run_all(&c, &o);
    free_corpus(&c);
    return rc;
}
