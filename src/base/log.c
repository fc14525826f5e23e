/* Messages on stderr: one line each (broken at the width of a terminal), never torn by another thread, never mixed into
 * a progress bar. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool terminal, color;
static bool bar_on_screen; /* under lock */

void eq_log_configure(enum eq_log_level level)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR"); /* https://no-color.org: set and not empty means no */
    bool is_terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    eq_log_set_level(level);
    __atomic_store_n(&terminal, is_terminal, __ATOMIC_RELAXED);
    __atomic_store_n(&color, is_terminal && !(no_color && no_color[0]), __ATOMIC_RELAXED);
}

bool eq_log_is_terminal(void)
{
    return __atomic_load_n(&terminal, __ATOMIC_RELAXED);
}

void eq_log_emit(const char *text, bool bar)
{
    static const char erase[] = "\r\033[K";
    pthread_mutex_lock(&lock);
    bool good = !bar_on_screen || eq_write_all(STDERR_FILENO, erase, sizeof erase - 1);
    if (good) /* otherwise nobody reads it */
        eq_write_all(STDERR_FILENO, text, strlen(text));
    bar_on_screen = bar;
    pthread_mutex_unlock(&lock);
}

/* At `column` of a line. On a terminal a long message is broken between words; elsewhere a message is one line. */
static void add_message(struct eq_str *line, const char *message, int column)
{
    struct eq_str shown = {0};
    int width = eq_columns(STDERR_FILENO);
    eq_str_add_shown(&shown, message);
    if (width > 0 && shown.len + (size_t)column > (size_t)width)
        eq_str_add_wrapped(line, shown.s ? shown.s : "", column, width);
    else
        eq_str_add(line, "%s\n", shown.s ? shown.s : "");
    eq_str_clear(&shown);
}

void eq_log(enum eq_log_level level, const char *fmt, ...)
{
    static const struct {
        const char *prefix, *paint;
    } levels[] = {[EQ_LOG_ERROR] = {"error: ", "\033[1;31m"},
                  [EQ_LOG_WARN] = {"warning: ", "\033[1;33m"},
                  [EQ_LOG_INFO] = {"", ""},
                  [EQ_LOG_DEBUG] = {"debug: ", "\033[2m"}};
    if (level > eq_log_current_level())
        return;
    bool painted = __atomic_load_n(&color, __ATOMIC_RELAXED) && levels[level].paint[0];
    struct eq_str line = {0};
    eq_str_add(&line, "%s%s%s", painted ? levels[level].paint : "", levels[level].prefix, painted ? "\033[0m" : "");
    va_list args;
    va_start(args, fmt);
    char text[2048];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    add_message(&line, text, (int)strlen(levels[level].prefix));
    eq_log_emit(line.s, false);
    eq_str_clear(&line);
}
