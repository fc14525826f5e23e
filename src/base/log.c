/* Messages on stderr: one line each, never torn by another thread, never mixed into a progress bar. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum eq_log_level current_level = EQ_LOG_INFO;
static bool terminal, colour;
static bool bar_on_screen;

void eq_log_configure(enum eq_log_level level)
{
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org: set and not empty means no */
    pthread_mutex_lock(&lock);
    current_level = level;
    terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    colour = terminal && !(no_colour && no_colour[0]);
    pthread_mutex_unlock(&lock);
}

enum eq_log_level eq_log_current_level(void)
{
    pthread_mutex_lock(&lock);
    enum eq_log_level level = current_level;
    pthread_mutex_unlock(&lock);
    return level;
}

bool eq_log_is_terminal(void)
{
    pthread_mutex_lock(&lock);
    bool is = terminal;
    pthread_mutex_unlock(&lock);
    return is;
}

void eq_log_emit(const char *text, bool bar)
{
    pthread_mutex_lock(&lock);
    if (bar_on_screen)
        fputs("\r\033[K", stderr);
    fputs(text, stderr);
    fflush(stderr);
    bar_on_screen = bar;
    pthread_mutex_unlock(&lock);
}

static void level_prefix(enum eq_log_level level, const char **prefix, const char **paint)
{
    *prefix = "";
    *paint = "";
    if (level == EQ_LOG_ERROR) {
        *prefix = "error: ";
        *paint = "\033[1;31m";
    } else if (level == EQ_LOG_WARN) {
        *prefix = "warning: ";
        *paint = "\033[1;33m";
    } else if (level == EQ_LOG_DEBUG) {
        *prefix = "debug: ";
        *paint = "\033[2m";
    }
}

void eq_log(enum eq_log_level level, const char *fmt, ...)
{
    if (level > eq_log_current_level())
        return;
    const char *prefix, *paint;
    level_prefix(level, &prefix, &paint);
    pthread_mutex_lock(&lock);
    bool painted = colour && paint[0];
    pthread_mutex_unlock(&lock);

    struct eq_str line = {0};
    eq_str_add(&line, "%s%s%s", painted ? paint : "", prefix, painted ? "\033[0m" : "");
    va_list args;
    va_start(args, fmt);
    char text[2048];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    eq_str_add(&line, "%s\n", text);
    eq_log_emit(line.s, false);
    eq_str_clear(&line);
}
