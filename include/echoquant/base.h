/*
 * base: status and errors, log and progress, files, JSON, random numbers, parallel-for, CPU features, memory.
 * The lowest floor; everything may include it and it includes nothing of ours.
 */
#ifndef ECHOQUANT_BASE_H
#define ECHOQUANT_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cJSON;

/* ---- status and errors --------------------------------------------------- */

/* What a call came to. The command line's exit code follows from it: USAGE is 2, INTERRUPTED is 130, the rest 1. */
enum eq_status {
    EQ_OK = 0,
    EQ_USAGE,  /* wrong option, unknown setting, value out of range: the user's command or config is wrong */
    EQ_IO,     /* the operating system refused: missing file, full disk, no permission */
    EQ_FORMAT, /* a file is not what it should be: cut short, wrong kind, bad number */
    EQ_NOMEM,
    EQ_UNSUPPORTED, /* this CPU or build can't do it */
    EQ_NUMERIC,     /* NaN, infinity, overflow bound exceeded */
    EQ_INTERRUPTED, /* SIGINT or SIGTERM; state has been written */
    EQ_STOP         /* no error: a hook has seen enough and ends its walk. Who set the hook makes EQ_OK of it. */
};

/* An error as text: what, where, what to do. The caller owns it; functions fill it and return its status. */
struct eq_err {
    enum eq_status status;
    char msg[1024];
};

/* Fills err (may be NULL) and returns status, so that `return eq_fail(err, EQ_IO, "...")` is one line. */
enum eq_status eq_fail(struct eq_err *err, enum eq_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As eq_fail with EQ_IO, and ": <strerror(errno)>" behind the text. */
enum eq_status eq_fail_errno(struct eq_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "text: " in front of the message that err already holds; returns its status. */
enum eq_status eq_err_context(struct eq_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0, 1, 2 or 130, as said at enum eq_status. */
int eq_exit_code(enum eq_status status);

/* Evaluates an expression of type eq_status and jumps to the function's one clean-up label when it is not EQ_OK. */
#define EQ_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        st = (expr);                                                                                                   \
        if (st != EQ_OK)                                                                                               \
            goto out;                                                                                                  \
    } while (0)
/* The same where there is nothing to clean up: returns the status. */
#define EQ_CHECK(expr)                                                                                                 \
    do {                                                                                                               \
        enum eq_status st_ = (expr);                                                                                   \
        if (st_ != EQ_OK)                                                                                              \
            return st_;                                                                                                \
    } while (0)

/* ---- log and progress (stderr) ------------------------------------------- */

enum eq_log_level { EQ_LOG_ERROR, EQ_LOG_WARN, EQ_LOG_INFO, EQ_LOG_DEBUG };

/* level: what is still printed. Colour and bars follow from isatty(2) and NO_COLOR. */
void eq_log_configure(enum eq_log_level level);
/* Prints one line (fmt without a newline) when level is not above the configured one. */
void eq_log(enum eq_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define eq_warn(...) eq_log(EQ_LOG_WARN, __VA_ARGS__)
#define eq_info(...) eq_log(EQ_LOG_INFO, __VA_ARGS__)
#define eq_debug(...) eq_log(EQ_LOG_DEBUG, __VA_ARGS__)

/* A bar with rate and ETA on a terminal, a plain line every few seconds otherwise, nothing with --quiet. */
struct eq_progress {
    char label[64], unit[16], note[96];
    size_t total, done;
    double start_ms, last_ms;
    bool active;
};
/* Starts the clock; total is in units (plural: "clips"). */
void eq_progress_begin(struct eq_progress *p, const char *label, const char *unit, size_t total);
/* note: a short text behind the bar, e.g. "loss 0.41"; NULL keeps the last one. */
void eq_progress_step(struct eq_progress *p, size_t done, const char *note);
/* Draws the last state and ends the line; harmless when it never began or ended already. */
void eq_progress_end(struct eq_progress *p);

/* ---- memory -------------------------------------------------------------- */

/* count * size bytes, zeroed, aligned to 64 (2 MiB and MADV_HUGEPAGE from 4 MiB up); NULL on overflow or when out of
 * memory. Free with eq_free. */
void *eq_alloc(size_t count, size_t size);
/* Frees what eq_alloc gave; NULL is fine. */
void eq_free(void *p);
/* *out = a * b (or a + b); false on overflow. */
bool eq_mul_size(size_t a, size_t b, size_t *out);
bool eq_add_size(size_t a, size_t b, size_t *out);
/* The most memory that this process has held at once; 0 where the system does not tell. */
size_t eq_peak_rss_bytes(void);

/* ---- text ---------------------------------------------------------------- */

/* A growing string. Init with {0}; clear frees. Out of memory aborts the process with a message: texts are small. */
struct eq_str {
    char *s; /* NUL-terminated once anything was added */
    size_t len, cap;
};
void eq_str_add(struct eq_str *str, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void eq_str_vadd(struct eq_str *str, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
void eq_str_add_bytes(struct eq_str *str, const void *bytes, size_t n);
void eq_str_clear(struct eq_str *str);
/* Appends text broken at blanks into lines of at most `width` columns, which end with a newline. The first begins where
 * the string stands, at `column`; those after it are set in by `column` blanks. A newline in text begins a line, an
 * empty one stays empty, and blanks after it set in that line, and by two more those that it is broken into. */
void eq_str_add_wrapped(struct eq_str *str, const char *text, int column, int width);
/* Appends a finite number with the fewest digits that read back as the same double; whole ones below 2^53 without an
 * exponent. */
void eq_str_add_real(struct eq_str *str, double value);
/* New texts, free() them. Never NULL: out of memory aborts the process. */
char *eq_strdup(const char *s);
char *eq_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A list of n items of size bytes each (NULL for n = 0) with room for one more, which is zeroed. free(). Out of memory
 * aborts the process, too: such lists are of names and texts. */
void *eq_list_grow(void *items, size_t n, size_t size);
/* Whole-string numbers, C locale, no spaces around; false when text is anything else, overflows, or is nan/inf. */
bool eq_parse_double(const char *s, double *out);
bool eq_parse_int64(const char *s, int64_t *out);
/* Levenshtein distance, for "did you mean". */
size_t eq_edit_distance(const char *a, const char *b);
/* The candidate nearest to word, or NULL when none is near enough to be helpful. */
const char *eq_nearest(const char *word, const char *const *candidates, size_t n);

/* ---- files --------------------------------------------------------------- */

/* All of these name the path in their message; what the operating system refuses is EQ_IO. */
/* *there: whether path leads to something. EQ_IO when the system can't tell (a failing disk, a loop of links, no
 * permission), since whoever took that for "not there" could write over what is. */
enum eq_status eq_path_look(const char *path, bool *there, struct eq_err *err);
/* For questions whose answer "no" costs nothing when it is wrong: it includes "can't tell". */
bool eq_path_exists(const char *path);
bool eq_is_dir(const char *path);
/* "a/b" in a buffer that the caller frees with free(). */
char *eq_path_join(const char *a, const char *b);
/* The names in a folder but "." and "..", in no order; none when there is no such folder. Free with eq_names_free. */
enum eq_status eq_list_dir(const char *path, char ***names, size_t *n, struct eq_err *err);
void eq_names_free(char **names, size_t n);
enum eq_status eq_make_dirs(const char *path, struct eq_err *err); /* with its parents; fine when it exists */
enum eq_status eq_file_size(const char *path, uint64_t *bytes, struct eq_err *err);
/* The whole file with a NUL behind it; more than cap bytes is EQ_FORMAT. Free *data with eq_free. */
enum eq_status eq_read_file(const char *path, size_t cap, void **data, size_t *len, struct eq_err *err);

/* A file that appears whole or not at all: written under a temporary name, fsynced, renamed on commit. Until then what
 * was there before is untouched; a device or pipe is written directly. Every failure is EQ_IO (no permission, full
 * disk) with the path named; call eq_writer_abort after one. */
struct eq_writer {
    FILE *file;
    char *path, *tmp_path;
};
enum eq_status eq_writer_open(struct eq_writer *w, const char *path, struct eq_err *err);
enum eq_status eq_writer_put(struct eq_writer *w, const void *data, size_t len, struct eq_err *err);
enum eq_status eq_writer_printf(struct eq_writer *w, struct eq_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum eq_status eq_writer_commit(struct eq_writer *w, struct eq_err *err);
void eq_writer_abort(struct eq_writer *w); /* removes the temporary file; harmless after commit and of {0} */
/* open, put, commit in one. */
enum eq_status eq_write_file(const char *path, const void *data, size_t len, struct eq_err *err);

/* ---- JSON (over cJSON) --------------------------------------------------- */

/* cJSON leaves out what it has no memory for, and whoever builds a document with it does not ask after each member. Its
 * allocator here notes a failure for the thread. EQ_NOMEM when one was noted since the last call: what this thread has
 * built since then may have holes. All that makes text of a document asks this first; who shows one otherwise must. */
enum eq_status eq_json_check(struct eq_err *err);
/* Parses a file of at most 16 MiB; a syntax error is EQ_FORMAT and names line and column. Delete with cJSON_Delete;
 * *out is NULL after a failure. */
enum eq_status eq_json_read(const char *path, struct cJSON **out, struct eq_err *err);
/* The same of len bytes of text; name stands in messages. */
enum eq_status eq_json_parse(const char *text, size_t len, const char *name, struct cJSON **out, struct eq_err *err);
/* Writes what eq_json_print prints, whole or not at all. */
enum eq_status eq_json_write(const char *path, const struct cJSON *json, struct eq_err *err);
/* Appends json, indented, with a newline behind it. Every number reads back as the same double; NaN and infinity, which
 * JSON lacks, become null. Nothing is appended on EQ_NOMEM. */
enum eq_status eq_json_print(struct eq_str *out, const struct cJSON *json, struct eq_err *err);
/* Appends json as cJSON prints it: one line without blanks, numbers with 15 digits where these are near enough. */
enum eq_status eq_json_print_line(struct eq_str *out, const struct cJSON *json, struct eq_err *err);
/* A member of object by its key, in the case that it is written in. object may be NULL, or no object: it has none then.
 * real: NaN unless it is a number. text: "" unless it is a string; borrowed from object. flag: whether it is true. */
double eq_json_real(const struct cJSON *object, const char *key);
const char *eq_json_text(const struct cJSON *object, const char *key);
bool eq_json_flag(const struct cJSON *object, const char *key);
/* A new number, or null where value is NaN or infinite; NULL when memory is short, as eq_json_check then tells. */
struct cJSON *eq_json_new_real(double value);
void eq_json_add_real(struct cJSON *object, const char *key, double value);

/* ---- random numbers ------------------------------------------------------ */

/* What a stream is for; part of the counter, so that one purpose's use never shifts another's numbers. */
enum eq_rng_purpose {
    EQ_RNG_INIT = 1,
    EQ_RNG_SPLIT,
    EQ_RNG_SHUFFLE,
    EQ_RNG_AUGMENT,
    EQ_RNG_SYNTH,
    EQ_RNG_CALIBRATE,
    EQ_RNG_TEST,
    EQ_RNG_ROUND,
    EQ_RNG_SAMPLE
};
/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the n-th number of the stream
 * (seed, purpose, epoch, sample) is a pure function, so that order of work and restarts don't matter. */
struct eq_rng {
    uint32_t key[2], ctr[4], block[4];
    unsigned used;
};
void eq_rng_init(struct eq_rng *r, uint64_t seed, enum eq_rng_purpose purpose, uint32_t epoch, uint32_t sample);
uint32_t eq_rng_u32(struct eq_rng *r);
double eq_rng_uniform(struct eq_rng *r); /* [0, 1) */
double eq_rng_range(struct eq_rng *r, double lo, double hi);
double eq_rng_normal(struct eq_rng *r);              /* mean 0, deviation 1 (Box-Muller) */
uint32_t eq_rng_below(struct eq_rng *r, uint32_t n); /* unbiased, n > 0 */
void eq_rng_shuffle(struct eq_rng *r, uint32_t *index, size_t n);
uint64_t eq_hash64(const void *data, size_t len); /* FNV-1a, for seeding by name */

/* ---- parallel-for -------------------------------------------------------- */

/* Starts the one pool (threads = 0: as many as the process may run on). Call again to change the number of threads,
 * never from inside a parallel-for. Workers run with denormals flushed (FTZ, DAZ); so does the caller while in it. */
enum eq_status eq_parallel_init(int threads, struct eq_err *err);
void eq_parallel_shutdown(void);
int eq_parallel_threads(void);
/* Calls fn(ctx, piece, worker) for piece 0..pieces-1, each once, in any order; returns when all are done.
 * worker is in 0..eq_parallel_threads()-1 and no two calls with one worker number overlap: it names scratch.
 * Results may depend on piece but never on worker. Pieces must not wait for each other: while other processes keep the
 * CPUs so busy that several threads are slower than one, the caller runs all of them. A call from inside runs its
 * pieces in place, under the same worker number; calls from several threads take turns. */
typedef void (*eq_piece_fn)(void *ctx, size_t piece, int worker);
void eq_parallel_for(size_t pieces, eq_piece_fn fn, void *ctx);
/* Element-wise work in spans of EQ_SPAN values, so that the cut depends on n alone: fn does values lo..hi-1 of what ctx
 * describes. */
enum { EQ_SPAN = 16384 }; /* 64 KiB of floats a stream */
typedef void (*eq_span_fn)(const void *ctx, size_t lo, size_t hi);
void eq_for_spans(size_t n, eq_span_fn fn, const void *ctx);

/* ---- several processes --------------------------------------------------- */

/* The processes ("ranks") that share one run. The functions below are collective: every rank calls the same ones in the
 * same order with the same n, and each waits for all. Results are the same bits on every rank. They follow from what
 * each rank gave, taken in rank order and never in order of arrival, so they are also the same bits in every run with
 * this number of ranks.
 *
 * gather: the one thing that a transport (MPI, threads of a test) provides. Writes the `bytes` bytes of `mine` of every
 * rank to all[size][bytes], by rank. A failure reaches all ranks; what was being combined is then void. */
typedef enum eq_status (*eq_gather_fn)(void *ctx, const void *mine, size_t bytes, void *all, struct eq_err *err);
struct eq_comm {
    int rank, size; /* 0 <= rank < size */
    eq_gather_fn gather;
    void *ctx;
    void *room; /* owned: what gather writes, so that no rank runs out of memory while others wait for it */
};
/* One process: every function leaves its values as they are and succeeds. Holds nothing to clear. */
extern const struct eq_comm eq_comm_self;
enum eq_status eq_comm_init(struct eq_comm *c, int rank, int size, eq_gather_fn gather, void *ctx, struct eq_err *err);
void eq_comm_clear(struct eq_comm *c);
/* x[i] = ((rank 0's + rank 1's) + rank 2's) + ..., i < n; each addition rounds to the type. */
enum eq_status eq_comm_sum(const struct eq_comm *c, float *x, size_t n, struct eq_err *err);
enum eq_status eq_comm_sum_doubles(const struct eq_comm *c, double *x, size_t n, struct eq_err *err);
/* x[i] = the least or greatest of all ranks'; NaN when one is NaN. */
enum eq_status eq_comm_min(const struct eq_comm *c, float *x, size_t n, struct eq_err *err);
enum eq_status eq_comm_max(const struct eq_comm *c, float *x, size_t n, struct eq_err *err);
/* The worst of all ranks' statuses: an error before EQ_INTERRUPTED before EQ_OK, among several the lowest rank's. mine
 * and err are this rank's; with more than one rank err becomes "rank N: message", the same everywhere. With EQ_OK from
 * all it is a barrier. */
enum eq_status eq_comm_agree(const struct eq_comm *c, enum eq_status mine, struct eq_err *err);

/* ---- CPU ----------------------------------------------------------------- */

/* ISA levels in ascending order of what is used; --cpu names one as the ceiling. */
enum eq_isa {
    EQ_ISA_REF,        /* plain C */
    EQ_ISA_AVX2,       /* AVX2 + FMA + F16C */
    EQ_ISA_AVXVNNI,    /* + AVX-VNNI (256-bit vpdpbusd) */
    EQ_ISA_AVX512,     /* AVX-512 F, BW, DQ, VL */
    EQ_ISA_AVX512VNNI, /* + VNNI */
    EQ_ISA_AVX512BF16, /* + BF16 */
    EQ_ISA_AMX,        /* + AMX tile, INT8, BF16 */
    EQ_ISA_NEON,       /* aarch64 */
    EQ_ISA_NEONDOT,    /* + dot product */
    EQ_ISA_COUNT
};
const char *eq_isa_name(enum eq_isa isa); /* "ref", "avx2", ... as --cpu takes them */
bool eq_isa_parse(const char *name, enum eq_isa *isa);
/* What CPU and operating system grant (CPUID, XCR0, the AMX permission call), whatever --cpu says. */
bool eq_cpu_has(enum eq_isa isa);
/* Granted and not above the ceiling: what dispatch asks. */
bool eq_cpu_use(enum eq_isa isa);
/* Whether the ceiling was set by this level's own name: the user asked for it, tested here before or not. */
bool eq_cpu_named(enum eq_isa isa);
/* "auto" or a level's name. A level that this machine lacks is refused with the list of what it has. Kernels' tables
 * are re-made by whoever holds them: call before anything is dispatched. */
enum eq_status eq_cpu_set_ceiling(const char *name, struct eq_err *err);
/* The highest level in use, e.g. "avx512vnni"; recorded in result files. */
const char *eq_cpu_isa_in_use(void);
const char *eq_cpu_model_name(void); /* "AMD EPYC ..." from the system, or "unknown" */
int eq_cpu_count(void);              /* CPUs this process may run on: affinity and the container's share */

/* ---- time and signals ---------------------------------------------------- */

double eq_now_ms(void); /* monotonic */
/* First SIGINT/SIGTERM sets the flag, a second one ends the process at once. */
void eq_signals_install(void);
bool eq_interrupted(void);
void eq_interrupt_reset(void); /* for tests */

#endif
