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

/* The result of a call. The exit code follows from it: OK is 0, USAGE 2, INTERRUPTED 130, every other 1. */
enum eq_status {
    EQ_OK = 0,
    EQ_USAGE,       /* wrong option, unknown setting, value out of range: the user's command or config is wrong */
    EQ_IO,          /* the operating system refused: missing file, full disk, no permission */
    EQ_FORMAT,      /* a file is not what it should be: cut short, wrong kind, bad number */
    EQ_NOMEM,       /* out of memory, or of open files or threads: no fault of any file */
    EQ_UNSUPPORTED, /* this CPU or build cannot do it */
    EQ_NUMERIC,     /* NaN, infinity, overflow bound exceeded */
    EQ_TOO_LARGE,   /* a file is larger than a setting allows, on whatever machine */
    EQ_TOO_SLOW,    /* work on a file took longer than a setting allows, on this machine */
    EQ_INTERRUPTED, /* SIGINT or SIGTERM; the state has been saved */
    EQ_STOP         /* no error: a hook ends its walk early; the code that set the hook turns it into EQ_OK */
};

/* An error as text: what, where, what to do. The caller owns it; functions fill it and return its status. */
struct eq_err {
    enum eq_status status;
    int code; /* errno, if the error came from eq_fail_errno; 0 otherwise */
    char msg[1024];
};

/* Fills err (may be NULL) and returns status, so that `return eq_fail(err, EQ_IO, "...")` is one line. */
enum eq_status eq_fail(struct eq_err *err, enum eq_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As eq_fail with EQ_IO; appends ": <strerror(errno)>". EQ_NOMEM when errno says that memory or open files are used
 * up, which is no fault of the file. */
enum eq_status eq_fail_errno(struct eq_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether the error is no fault of the file that err is about: the system failed (a bad drive, a lost network, too many
 * open files), or the work was stopped. Such a file may be good, so it is never left out for it. */
bool eq_err_is_of_system(const struct eq_err *err);
/* Prepends "text: " to the message in err and returns its status; EQ_OK when err is NULL. */
enum eq_status eq_err_context(struct eq_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0, 1, 2 or 130: see enum eq_status. */
int eq_exit_code(enum eq_status status);

/* Stores the value of an expression of type eq_status in `st`; jumps to the clean-up label `out` unless it is EQ_OK. */
#define EQ_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        st = (expr);                                                                                                   \
        if (st != EQ_OK)                                                                                               \
            goto out;                                                                                                  \
    } while (0)
/* The same for functions without clean-up: returns the value unless it is EQ_OK. */
#define EQ_CHECK(expr)                                                                                                 \
    do {                                                                                                               \
        enum eq_status st_ = (expr);                                                                                   \
        if (st_ != EQ_OK)                                                                                              \
            return st_;                                                                                                \
    } while (0)

/* ---- log and progress (stderr) ------------------------------------------- */

enum eq_log_level { EQ_LOG_ERROR, EQ_LOG_WARN, EQ_LOG_INFO, EQ_LOG_DEBUG };

/* level: the least important level that is printed. Colors and bars depend on isatty(2), TERM and NO_COLOR. */
void eq_log_configure(enum eq_log_level level);
/* Prints one line (fmt has no newline) unless level is above the configured one. Any thread may call it. */
void eq_log(enum eq_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define eq_warn(...) eq_log(EQ_LOG_WARN, __VA_ARGS__)
#define eq_info(...) eq_log(EQ_LOG_INFO, __VA_ARGS__)
#define eq_debug(...) eq_log(EQ_LOG_DEBUG, __VA_ARGS__)

/* A bar with rate and ETA on a terminal, otherwise a plain line every few seconds; nothing with --quiet. */
struct eq_progress {
    char label[64], unit[16], note[96];
    size_t total, done, first;
    double start_ms, last_ms;
    bool active;
};
/* Starts the clock. unit: in the plural ("clips"); total: the number of them, 0: unknown. Texts are copied. */
void eq_progress_begin(struct eq_progress *p, const char *label, const char *unit, size_t total);
/* Before the first step: `first` units were done by an earlier process, so the rate leaves them out. */
void eq_progress_resume(struct eq_progress *p, size_t first);
/* done: units so far. note: a short text after the bar, e.g. "loss 0.41"; NULL keeps the previous one. */
void eq_progress_step(struct eq_progress *p, size_t done, const char *note);
/* Draws the final state and ends the line. Harmless if p never began ({0}) or has ended. */
void eq_progress_end(struct eq_progress *p);

/* The steps of a long command, one list in a process: bars show the place ("3/9") and the time that all steps need.
 * work: in any unit that is the same for all steps; it is in proportion to the time a step takes. 0: the step has a
 * pace of its own, which says nothing about the others; NAN: not known yet. Titles are copied. */
struct eq_step {
    const char *title;
    double work;
};
/* false: the process has a list already, which stays. */
bool eq_steps_begin(const struct eq_step *list, size_t n);
/* Replaces the steps after the current one: their number or their work was not known before. */
void eq_steps_replan(const struct eq_step *list, size_t n);
/* Enters the next step of this title, or of any title if NULL; steps before it turned out to be unnecessary. Says which
 * one and the time left, if there are several. A title that is not to come changes nothing. */
void eq_steps_next(const char *title);
/* Share of the current step that is done, 0..1. The first call in a step says where this process starts in it. */
void eq_steps_part(double done);
/* Ends the list. done: prints how long each step took, if there were several. */
void eq_steps_end(bool done);

/* ---- standard output ------------------------------------------------------- */

/* Output is buffered until it is flushed; on a terminal, until the end of the call. One thread at a time. Nothing
 * that the program was given reaches a terminal as a control character or as a mark that reorders text
 * (eq_str_add_shown). */
/* One line, without its end. */
void eq_print_row(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Lines that are ready to be read. Names with a line feed must have been escaped before. */
void eq_print_text(const char *text);
/* CSV or JSON: as it is to a file or pipe, escaped (eq_str_add_escaped) on a terminal. */
void eq_print_data(const char *text);
/* EQ_IO: something could not be written since the start. EQ_INTERRUPTED: a signal came while the reader of a pipe took
 * nothing. */
enum eq_status eq_print_flush(struct eq_err *err);
/* Writes n bytes to a file, pipe or terminal. False, with errno: EINTR if a signal came while fd took nothing. */
bool eq_write_all(int fd, const char *bytes, size_t n);

/* ---- memory -------------------------------------------------------------- */

/* count * size bytes, zeroed, aligned to 64 bytes (to 2 MiB, with MADV_HUGEPAGE, from 4 MiB up). NULL on overflow or
 * when out of memory. Free with eq_free. */
void *eq_alloc(size_t count, size_t size);
/* Frees memory of eq_alloc; NULL is fine. */
void eq_free(void *p);
/* *out = a * b (or a + b); false on overflow. */
bool eq_mul_size(size_t a, size_t b, size_t *out);
bool eq_add_size(size_t a, size_t b, size_t *out);
/* Peak resident memory of this process in bytes; 0 if the system does not report it. */
size_t eq_peak_rss_bytes(void);
/* Returns unused memory to the system and lets the peak begin anew. Returns the resident memory of now; 0: the system
 * cannot do that. */
size_t eq_peak_rss_restart(void);

/* Lack of memory (docs/ARCHITECTURE.md). What grows with the input comes from eq_alloc or malloc, and its lack is
 * EQ_NOMEM. Small things, such as texts, come from eq_small. It never fails: a request that the system refuses is met
 * from a reserve. From then on eq_memory_short is true, so the work ends in good order where it looks at
 * eq_interrupted. */

/* Sets the reserve aside, at the start of a process; without it the first refusal ends the process. name: for messages;
 * it is borrowed. */
void eq_memory_reserve(const char *name);
/* As realloc, but never NULL. When the reserve cannot meet the request, the process ends by eq_memory_end. */
void *eq_small(void *old, size_t bytes);
/* Zeroed memory for code that cannot return EQ_NOMEM; free() it. It comes from the reserve if need be. NULL: that could
 * not meet it either, which ends the command as any shortage does, so that an empty result stands for no fault. */
void *eq_room(size_t count, size_t size);
/* The system refused `bytes` bytes: notes it, and gives up as much of the reserve as such a request needs. false: the
 * reserve cannot meet it. Otherwise try again. */
bool eq_memory_refused(size_t bytes);
/* After a call of the C library that failed: true if that was for lack of a little memory, about `bytes` bytes, and the
 * reserve has met it, so try again. The process ends if the reserve cannot. */
bool eq_memory_again(size_t bytes);
/* After calls into a library that may go on without memory that it was refused: notes a refusal if errno is ENOMEM. Set
 * errno to 0 before them. */
void eq_memory_ignored(void);
/* Whether the system has refused memory to this process, other than to eq_alloc. */
bool eq_memory_short(void);
/* Whether one of these requests was not met, so that something may be missing: eq_writer_commit keeps nothing then. */
bool eq_memory_lost(void);
void eq_memory_forget(void); /* for tests */
/* Ends the process with a message and the exit code of EQ_NOMEM. No handler runs: files and locks are left as a kill
 * leaves them, and the next command cleans up. */
void eq_memory_end(size_t bytes) __attribute__((noreturn));
/* The status of a whole command: st, or EQ_NOMEM if memory was refused, because an error may follow from that. */
enum eq_status eq_memory_settle(enum eq_status st, struct eq_err *err);

/* What nothing of this program may be used for: said by help, version, reports, manual pages and model files. */
#define EQ_RESEARCH_ONLY "For research only: not a medical device, not for diagnosis or treatment."

/* ---- text ---------------------------------------------------------------- */

/* A growing string, in memory of eq_small. Init with {0}, free with eq_str_clear. */
struct eq_str {
    char *s; /* NULL until something is added, then NUL-terminated */
    size_t len, cap;
};
void eq_str_add(struct eq_str *str, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void eq_str_vadd(struct eq_str *str, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
void eq_str_add_bytes(struct eq_str *str, const void *bytes, size_t n);
void eq_str_clear(struct eq_str *str);
/* Appends text, broken at blanks into lines of at most `width` columns. The string is at `column` now; later lines are
 * indented by `column` blanks, and every line ends with a newline. A newline in text starts a new line, and an empty
 * line stays empty. Blanks at the start of a line indent it, and its continuation lines by two more. */
void eq_str_add_wrapped(struct eq_str *str, const char *text, int column, int width);
/* Columns of the terminal that fd is; for standard output that is no terminal the environment variable COLUMNS. 0:
 * lines may have any length. */
int eq_columns(int fd);
/* Appends a finite number with the fewest digits that read back as the same double; whole ones below 2^53 without an
 * exponent. */
void eq_str_add_real(struct eq_str *str, double value);
/* Appends text as valid UTF-8, whatever its encoding: bytes that are no UTF-8 are read as Windows-1252. Valid UTF-8 is
 * unchanged. */
void eq_str_add_utf8(struct eq_str *out, const char *text);
/* The same for one line of a message: control characters and marks that reorder text are escaped, as in \n, \x1b and
 * \u202e. */
void eq_str_add_shown(struct eq_str *out, const char *text);
/* The same for text of several lines: line feeds stay. */
void eq_str_add_lines(struct eq_str *out, const char *text);
/* The same for data on a terminal: line feeds stay, all others are escaped as JSON has it, \u001b. */
void eq_str_add_escaped(struct eq_str *out, const char *text);
/* A new text that is the same for all spellings of a name: UTF-8 with letter case folded and accents composed (NFC).
 * free() it. */
char *eq_caseless(const char *text);
/* New texts by eq_small, free() them. */
char *eq_strdup(const char *s);
char *eq_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Grows a list of n items of `size` bytes (NULL for n = 0) by one zeroed item and returns it; free with free(). It is
 * memory of eq_small: use it for lists of names and texts, not for data. */
void *eq_list_grow(void *items, size_t n, size_t size);
/* Parses all of s as a decimal number in the C locale. False, with *out unchanged, for anything else: blanks, overflow,
 * nan, inf. */
bool eq_parse_double(const char *s, double *out);
bool eq_parse_int64(const char *s, int64_t *out);
/* "s" unless n is 1: "%zu clip%s". */
const char *eq_plural(double n);
/* Levenshtein distance, for "did you mean". */
size_t eq_edit_distance(const char *a, const char *b);
/* The candidate nearest to word, borrowed; NULL when none is near enough to be useful. */
const char *eq_nearest(const char *word, const char *const *candidates, size_t n);

/* ---- files --------------------------------------------------------------- */

/* Messages name the path. EQ_IO: the operating system refused. */
/* *there: whether path exists. EQ_IO when the system cannot tell (a failing disk, a loop of links, no permission):
 * taking that for "not there" could overwrite a file. */
enum eq_status eq_path_look(const char *path, bool *there, struct eq_err *err);
enum eq_status eq_dir_look(const char *path, bool *is_dir, struct eq_err *err);
/* False only if it is certain that nothing is there. For guesses about what a text means. */
bool eq_path_may_exist(const char *path);
/* "a/b"; free() it. */
char *eq_path_join(const char *a, const char *b);
/* fopen and opendir; neither fails for lack of memory. */
FILE *eq_fopen(const char *path, const char *mode);
struct __dirstream *eq_opendir(const char *path); /* DIR * */
/* As realpath: the absolute path without links; free() it. NULL: path does not exist, or cannot be looked up. */
char *eq_real_path(const char *path);
/* The names in a folder without "." and "..", unordered; none when the folder does not exist. Free with
 * eq_names_free. */
enum eq_status eq_list_dir(const char *path, char ***names, size_t *n, struct eq_err *err);
void eq_names_free(char **names, size_t n);
/* Calls take for all that lies below a folder and is no folder, pipes and links without a target included. What lies
 * in one folder comes in the order of the names. Hidden names are left out. Links are followed, but not back to a
 * folder above. problem: NULL, or why what lies below path cannot be read. EQ_IO: folder itself cannot be read;
 * EQ_INTERRUPTED: a signal came; or an error of take, which ends the walk. */
typedef enum eq_status (*eq_file_fn)(void *ctx, const char *path, const char *problem, struct eq_err *err);
enum eq_status eq_files_below(const char *folder, eq_file_fn take, void *ctx, struct eq_err *err);
/* For "did you mean": the folder beside path, which does not exist, whose name is nearest; free() it. NULL: none is
 * near enough. */
char *eq_nearest_folder(const char *path);
/* The path to read for a file that the user named; free() it. It is the path itself, unless no such file exists and the
 * name, with or without "<kind>/" before and suffix after it, is that of a file installed with the program under
 * share/echoquant/<kind>; that is said in the log. */
char *eq_shared_file(const char *path, const char *kind, const char *suffix);
/* The path of share/echoquant/<name> if it was installed with the program; free() it. NULL: it was not. */
char *eq_installed_file(const char *name);
enum eq_status eq_make_dirs(const char *path, struct eq_err *err); /* and its parents; EQ_OK if it exists */
enum eq_status eq_file_size(const char *path, uint64_t *bytes, struct eq_err *err);
/* Opens a regular file, or a link to one, for reading; never waits. bytes (may be NULL): its size. close() *fd.
 * EQ_IO: it cannot be opened, or is a folder, a pipe, a socket or a device. */
enum eq_status eq_open_file(const char *path, int *fd, uint64_t *bytes, struct eq_err *err);
/* Reads up to n bytes at a place; *got is less only at the end of the file. EQ_INTERRUPTED: a signal came meanwhile,
 * and n is large enough (64 MiB) for that to be heard. */
enum eq_status eq_read_at(int fd, const char *path, uint64_t at, void *to, size_t n, size_t *got, struct eq_err *err);
/* The whole of a regular file, followed by a NUL that len does not count. EQ_FORMAT: more than cap bytes; EQ_NOMEM;
 * others as the two above. Free *data with eq_free; it is NULL after a failure. */
enum eq_status eq_read_file(const char *path, size_t cap, void **data, size_t *len, struct eq_err *err);
/* The same for a file that the command line names, which may be a pipe or a terminal. EQ_INTERRUPTED: a signal came
 * while nothing did. fd: an open one, which stays open, or -1. */
enum eq_status eq_read_input(const char *path, int fd, size_t cap, void **data, size_t *len, struct eq_err *err);

/* A file that appears whole or not at all: it is written under a temporary name, synced, and renamed on commit. Until
 * then an earlier file of that name is untouched. A device or pipe is written directly;
 * while it takes nothing, a signal ends the wait (EQ_INTERRUPTED). Every other failure is EQ_IO (no permission, full
 * disk) and names the path; call eq_writer_abort after one. */
struct eq_writer {
    FILE *file;
    char *path, *tmp_path;
    bool unsynced; /* set it after open for a file that may be lost in a power cut, or end up cut off */
};
enum eq_status eq_writer_open(struct eq_writer *w, const char *path, struct eq_err *err);
enum eq_status eq_writer_put(struct eq_writer *w, const void *data, size_t len, struct eq_err *err);
enum eq_status eq_writer_printf(struct eq_writer *w, struct eq_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The first half of a commit: all is on the disk and closed, under tmp_path, unless that is NULL (a device or pipe). */
enum eq_status eq_writer_close(struct eq_writer *w, struct eq_err *err);
enum eq_status eq_writer_commit(struct eq_writer *w, struct eq_err *err);
void eq_writer_abort(struct eq_writer *w); /* removes the temporary file; harmless after commit and for {0} */
/* Removes the temporary files that processes left in a folder when they were killed. of: of the file of this name only;
 * NULL: all. alone: nobody else can be writing
 * there, so all of them go. Otherwise those of dead processes of this machine go, and those with the number of this
 * process (in a container each process may be number 1); call it before this process writes there. A folder that does
 * not exist is fine. */
enum eq_status eq_remove_temporaries(const char *dir, const char *of, bool alone, struct eq_err *err);
bool eq_is_temporary_name(const char *name); /* whether such a file may have this name */
/* Open, put and commit in one call. */
enum eq_status eq_write_file(const char *path, const void *data, size_t len, struct eq_err *err);

/* The user's cache: $XDG_CACHE_HOME/echoquant, or ~/.cache/echoquant; free(). NULL: neither variable is set. */
char *eq_cache_dir(void);
/* Writes a file of that folder, dir, which is made, as eq_write_file does. Files there whose names begin with prefix
 * and that were not written for 90 days are removed. */
enum eq_status eq_cache_write(const char *dir, const char *prefix, const char *path, const void *data, size_t len,
                              struct eq_err *err);

/* ---- locks between processes --------------------------------------------- */

struct eq_lock {
    int fd;
    char *path;   /* NULL: not held */
    long holder;  /* EQ_LOCK_BUSY: the process that has it; 0: not known */
    int no_locks; /* EQ_LOCK_IMPOSSIBLE: errno */
};
enum eq_lock_answer {
    EQ_LOCK_TAKEN,
    EQ_LOCK_BUSY,       /* another process has it; nothing to release */
    EQ_LOCK_IMPOSSIBLE, /* this file system has no locks: the file is made, and keeps nobody out */
};
/* Locks the file `path`, which is made, until eq_lock_release or the end of this process. EQ_IO: it cannot be. */
enum eq_status eq_lock_try(struct eq_lock *lock, const char *path, enum eq_lock_answer *answer, struct eq_err *err);
/* The same, but waits for another process, with a message that begins with `what`, such as "DIR is being written".
 * EQ_INTERRUPTED. */
enum eq_status eq_lock_wait(struct eq_lock *lock, const char *path, const char *what, struct eq_err *err);
void eq_lock_release(struct eq_lock *lock); /* removes the file; harmless for {0} */

/* ---- JSON (over cJSON) --------------------------------------------------- */

/* cJSON omits members that it has no memory for, and code that builds a document does not check each one. The allocator
 * that cJSON uses here records a failure for the thread instead. EQ_NOMEM: one was recorded since the last call, so
 * documents that this thread built since then may lack members. The functions that print a document call this first;
 * code that uses a document in another way must call it. */
enum eq_status eq_json_check(struct eq_err *err);
/* Parses a file of at most 16 MiB. EQ_FORMAT: a syntax error, with line and column, or a key that occurs twice; EQ_IO,
 * EQ_NOMEM. Delete *out with cJSON_Delete; it is NULL after a failure. */
enum eq_status eq_json_read(const char *path, struct cJSON **out, struct eq_err *err);
/* The same for len bytes of text; name is used in messages. */
enum eq_status eq_json_parse(const char *text, size_t len, const char *name, struct cJSON **out, struct eq_err *err);
/* Writes the output of eq_json_print to a file, as eq_write_file does. */
enum eq_status eq_json_write(const char *path, const struct cJSON *json, struct eq_err *err);
/* Appends json, indented and followed by a newline. Every number reads back as the same double; NaN and infinity, which
 * JSON lacks, become null. Nothing is appended on EQ_NOMEM. */
enum eq_status eq_json_print(struct eq_str *out, const struct cJSON *json, struct eq_err *err);
/* The same on one line, for JSON Lines. */
enum eq_status eq_json_print_row(struct eq_str *out, const struct cJSON *json, struct eq_err *err);
/* Appends json as cJSON prints it: one line without blanks, numbers with 15 digits where they are near enough. */
enum eq_status eq_json_print_line(struct eq_str *out, const struct cJSON *json, struct eq_err *err);
/* A member of object by its exact key; object may be NULL. NaN unless it is a number; "" unless it is a string, which
 * object keeps; false unless it is true. */
double eq_json_real(const struct cJSON *object, const char *key);
const char *eq_json_text(const struct cJSON *object, const char *key);
bool eq_json_flag(const struct cJSON *object, const char *key);
/* Adds item to an array (key NULL) or an object, which then owns it. Returns item, or NULL after freeing it when it
 * could not be added, which eq_json_check then reports; cJSON would leave it with the caller. item and parent may be
 * NULL. */
struct cJSON *eq_json_add(struct cJSON *parent, const char *key, struct cJSON *item);
/* A new number, or a null for NaN and infinity; NULL when out of memory, which eq_json_check then reports. */
struct cJSON *eq_json_new_real(double value);
void eq_json_add_real(struct cJSON *object, const char *key, double value);

/* ---- random numbers ------------------------------------------------------ */

/* The use of a stream. It is part of the counter, so streams of different purposes are independent. */
enum eq_rng_purpose {
    EQ_RNG_INIT = 1,
    EQ_RNG_SPLIT,
    EQ_RNG_SHUFFLE,
    EQ_RNG_AUGMENT,
    EQ_RNG_SYNTH,
    EQ_RNG_CALIBRATE,
    EQ_RNG_TEST,
    EQ_RNG_ROUND,
    EQ_RNG_SAMPLE,
    EQ_RNG_BOOTSTRAP
};
/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the n-th number of the stream
 * (seed, purpose, epoch, sample) is a pure function, so neither the order of work nor a restart matters. */
struct eq_rng {
    uint32_t key[2], ctr[4], block[4];
    unsigned used;
};
void eq_rng_init(struct eq_rng *r, uint64_t seed, enum eq_rng_purpose purpose, uint32_t epoch, uint32_t sample);
uint32_t eq_rng_u32(struct eq_rng *r);
double eq_rng_uniform(struct eq_rng *r);                     /* [0, 1) */
double eq_rng_range(struct eq_rng *r, double lo, double hi); /* [lo, hi) */
double eq_rng_normal(struct eq_rng *r);                      /* mean 0, standard deviation 1 (Box-Muller) */
uint32_t eq_rng_below(struct eq_rng *r, uint32_t n);         /* 0..n-1, unbiased; n > 0 */
void eq_rng_shuffle(struct eq_rng *r, uint32_t *index, size_t n);
uint64_t eq_hash64(const void *data, size_t len);                                    /* FNV-1a, for seeding by name */
enum eq_status eq_hash64_file(const char *path, uint64_t *hash, struct eq_err *err); /* of a file, in pieces */

/* ---- parallel-for -------------------------------------------------------- */

/* Starts the thread pool (threads = 0: as many as the process may run on). Call it again to change the number of
 * threads, never from inside a parallel-for. Workers flush denormals (FTZ, DAZ), as does the caller inside one. If the
 * system allows fewer threads, 0 takes these with a warning, and any other number is refused (EQ_NOMEM).
 * EQ_USAGE: below 0 or above 1024. */
enum eq_status eq_parallel_init(int threads, struct eq_err *err);
void eq_parallel_shutdown(void);
int eq_parallel_threads(void);
/* Calls fn(ctx, piece, worker) for piece 0..pieces-1, each once, in any order; returns when all are done.
 * worker is in 0..eq_parallel_threads()-1, and no two calls with one worker number overlap, so it can index scratch.
 * Results may depend on piece but never on worker. Pieces must not wait for each other: while other processes keep the
 * CPUs busy, the caller may run all of them. A nested call runs its pieces in place, under the same worker number.
 * Calls from several threads run one after the other. */
typedef void (*eq_piece_fn)(void *ctx, size_t piece, int worker);
void eq_parallel_for(size_t pieces, eq_piece_fn fn, void *ctx);
/* Calls work(ctx, 0) here and meanwhile help(ctx, worker), worker 1 to `helpers`, in so many other threads of the pool
 * at most; returns when all calls have returned. help may be called never, or twice: work must be able to do everything
 * by itself, and must tell the helpers when it is over. There are no helpers inside another job. */
typedef void (*eq_worker_fn)(void *ctx, int worker);
void eq_parallel_beside(int helpers, eq_worker_fn work, eq_worker_fn help, void *ctx);
/* How many helpers are of use now: none inside another job, nor while other processes take the CPUs, since the caller
 * would wait for a helper that waits for its CPU. */
int eq_parallel_helpers(void);
/* How threads of that call tell each other of something to do, or of its end: eq_parallel_wait returns once there was
 * more news than `news`, which was read before looking for something to do. */
unsigned eq_parallel_news(void);
void eq_parallel_tell(void);
void eq_parallel_wait(unsigned news);
/* Element-wise work on n values in spans of EQ_SPAN, so that the split depends on n alone. fn processes values lo..hi-1
 * of ctx. */
enum { EQ_SPAN = 16384 }; /* 64 KiB of floats a stream */
typedef void (*eq_span_fn)(const void *ctx, size_t lo, size_t hi);
void eq_for_spans(size_t n, eq_span_fn fn, const void *ctx);

/* ---- sums in a fixed order ------------------------------------------------ */

/* The binary tree in which the values of n leaves are added. Node k of level l covers the leaves k 2^l to
 * (k + 1) 2^l - 1, as far as there are any; it is the sum of nodes 2k and 2k + 1 of level l - 1, or node 2k alone where
 * there is no second one. So the bits of a sum depend on the leaves and their number, and on nothing else. */
enum { EQ_TREE_LEAVES = 1024, EQ_TREE_PARTS = 20 }; /* parts: most nodes that stay of adjacent leaves */
struct eq_tree {
    size_t leaves;
    int n; /* nodes that wait for their right neighbor */
    struct eq_tree_node {
        int level;
        size_t k;
    } open[EQ_TREE_PARTS];
};
/* leaves: 1..EQ_TREE_LEAVES, of the whole tree. */
void eq_tree_begin(struct eq_tree *t, size_t leaves);
/* The next node to the right of those before: a leaf i (level 0), or a node that was added up elsewhere. Returns the
 * number of waiting values that must be added to its value, the last one first. The sum then waits in their place. */
int eq_tree_push(struct eq_tree *t, int level, size_t k);
/* x[0] = the sum of x[0..n-1] as leaves; the others are destroyed. */
void eq_tree_sum(double *x, size_t n);
/* to = left + to, for n values of two nodes. Denormals count as 0, as in a parallel-for. */
void eq_tree_add(float *to, const float *left, size_t n);

/* ---- several processes --------------------------------------------------- */

/* The processes ("ranks") that share one run. The functions below are collective: every rank calls the same ones in the
 * same order with the same sizes, and each waits for all. Results are the same bits on every rank, whatever arrives
 * first.
 *
 * exchange: the one thing that a transport (MPI, threads of a test) provides. Sends all of `out` and receives all of
 * `in`, in any order; between two ranks the k-th message out meets the k-th in, which has the same size. After a
 * failure what was being exchanged is void. */
struct eq_message {
    int rank; /* the other one */
    void *data;
    size_t bytes;
};
typedef enum eq_status (*eq_exchange_fn)(void *ctx, const struct eq_message *out, size_t n_out,
                                         const struct eq_message *in, size_t n_in, struct eq_err *err);
struct eq_comm {
    int rank, size; /* 0 <= rank < size */
    eq_exchange_fn exchange;
    void *ctx;
    void *room; /* owned, as messages: what is received, so that no rank runs out of memory while others wait for it */
    struct eq_message *messages;
};
/* One process: every function succeeds and leaves its values unchanged. Needs no clear. */
extern const struct eq_comm eq_comm_self;
/* ctx is borrowed. EQ_USAGE: more than EQ_TREE_LEAVES ranks; EQ_NOMEM. */
enum eq_status eq_comm_init(struct eq_comm *c, int rank, int size, eq_exchange_fn exchange, void *ctx,
                            struct eq_err *err);
void eq_comm_clear(struct eq_comm *c);
/* The processes that share the work of this thread: eq_comm_self, or what it joined. Borrowed; join NULL to leave. */
const struct eq_comm *eq_comm_world(void);
void eq_comm_join(const struct eq_comm *c);
/* The share of a rank in n things that are in order: *count of them from the returned one on. */
size_t eq_comm_share(int rank, int size, size_t n, size_t *count);
/* all: [n][bytes], of which each rank has filled in its share: fills in the others'. */
enum eq_status eq_comm_fill(const struct eq_comm *c, void *all, size_t n, size_t bytes, struct eq_err *err);
/* Adds vectors of n floats, one for each of `leaves` leaves (at least one for each rank), of which each rank has its
 * share (eq_comm_share), by the tree above. parts: what is left of this rank's after eq_tree_push, in order, each of n
 * floats. The sum is in the last one, the others are destroyed. Each rank adds up a part of the vector and sends it to
 * all, so it sends and receives about 2 n floats, however many ranks there are. */
enum eq_status eq_comm_sum(const struct eq_comm *c, size_t leaves, float *const *parts, size_t n, struct eq_err *err);
/* The worst status of all ranks: an error, else EQ_INTERRUPTED, else EQ_OK; among several errors that of the lowest
 * rank. mine and err are this rank's; with more than one rank err becomes "rank N: message" on every rank. With EQ_OK
 * from all it is a barrier. */
enum eq_status eq_comm_agree(const struct eq_comm *c, enum eq_status mine, struct eq_err *err);
/* The same; *any: whether it was true on any rank. */
enum eq_status eq_comm_agree_any(const struct eq_comm *c, enum eq_status mine, bool *any, struct eq_err *err);

/* ---- CPU ----------------------------------------------------------------- */

/* ISA levels in ascending order of preference; --cpu names the highest one to use. */
enum eq_isa {
    EQ_ISA_REF,        /* plain C */
    EQ_ISA_AVX2,       /* AVX2 + FMA + F16C */
    EQ_ISA_AVXVNNI,    /* + AVX-VNNI (256-bit vpdpbusd) */
    EQ_ISA_AVX512,     /* AVX-512 F, BW, DQ, VL */
    EQ_ISA_AVX512VNNI, /* + VNNI */
    EQ_ISA_AVX512BF16, /* + BF16 */
    EQ_ISA_AMX,        /* + VNNI, AMX tile, INT8, BF16 */
    EQ_ISA_NEON,       /* aarch64 */
    EQ_ISA_NEONDOT,    /* + dot product */
    EQ_ISA_COUNT
};
const char *eq_isa_name(enum eq_isa isa); /* "ref", "avx2", ... as --cpu takes them */
bool eq_isa_parse(const char *name, enum eq_isa *isa);
/* Whether CPU and operating system grant it (CPUID, XCR0, the AMX permission call), regardless of --cpu. */
bool eq_cpu_has(enum eq_isa isa);
/* Granted and not above the ceiling; dispatch uses this one. */
bool eq_cpu_use(enum eq_isa isa);
/* name: "auto" or a level. EQ_UNSUPPORTED: this machine lacks the level; EQ_USAGE: no level of that name; the message
 * lists those that it has. Call it before anything is dispatched: existing kernel tables do not follow. */
enum eq_status eq_cpu_set_ceiling(const char *name, struct eq_err *err);
/* The name of the highest level in use, e.g. "avx512vnni"; result files record it. */
const char *eq_cpu_isa_in_use(void);
const char *eq_cpu_model_name(void); /* "AMD EPYC ..." from the system, or "unknown" */
int eq_cpu_count(void);              /* CPUs this process may run on: affinity and the container's share */

/* ---- time and signals ---------------------------------------------------- */

double eq_now_ms(void); /* a monotonic clock, in ms */
/* The first SIGINT, SIGTERM, SIGHUP (unless it is ignored, as nohup has it), SIGUSR1, SIGUSR2 or SIGXCPU says so on
 * stderr and sets the flag that eq_interrupted reads. A SIGINT after that ends the process at once. SIGPIPE and SIGXFSZ
 * no longer kill: the write that caused them fails with EPIPE or EFBIG. */
void eq_signals_install(void);
/* Whether the work has to stop in good order: such a signal came, or memory ran short (eq_memory_short). */
bool eq_interrupted(void);
void eq_interrupt_reset(void); /* for tests */

/* Waits for a child process; *state: as of waitpid. A signal that came for this process alone, or most_s seconds (0: no
 * limit), end it by SIGKILL: EQ_INTERRUPTED "interrupted while DOING", EQ_IO "ended after 5 s while DOING". */
enum eq_status eq_child_wait(int pid, double most_s, const char *doing, int *state, struct eq_err *err);

#endif
