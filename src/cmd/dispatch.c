/* From argv to a command, from its status to the exit code. */
#include "cmd/help.h"

#include "echoquant/device.h"

#include <assert.h>
#include <string.h>

static void print_overview(const struct eq_command *const *commands, size_t n)
{
    static const char *const more[][2] = {
        {"echoquant COMMAND -h", "usage and options of a command"},
        {"echoquant COMMAND --help", "all about it; also: echoquant help COMMAND"},
        {"echoquant help settings", "every setting; --markdown: docs/CONFIG.md"},
        {"echoquant --version", "version, CPU, instruction sets; also: -V, version"},
    };
    struct eq_str out = {0};
    int width = eq_help_width();
    eq_str_add(&out, "usage: echoquant COMMAND [options]\n\n");
    eq_str_add_wrapped(&out, eq_overview, 0, width);
    eq_str_add(&out, "\nCommands:\n");
    for (size_t i = 0; i < n; i++) {
        eq_str_add(&out, "  %-11s ", commands[i]->name);
        eq_str_add_wrapped(&out, commands[i]->summary, 14, width);
    }
    eq_str_add(&out, "\nHelp:\n");
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        bool narrow = width < 70;
        eq_str_add(&out, narrow ? "  %s\n      " : "  %-24s ", more[i][0]);
        eq_str_add_wrapped(&out, more[i][1], narrow ? 6 : 27, width);
    }
    eq_str_add_wrapped(&out, "\nStart here: echoquant run-all\n\n" EQ_RESEARCH_ONLY "\n", 0, width);
    eq_print_text(out.s);
    eq_str_clear(&out);
}

static void print_version(void)
{
    struct eq_str levels = {0};
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++)
        if (eq_cpu_has((enum eq_isa)isa))
            eq_str_add(&levels, " %s", eq_isa_name((enum eq_isa)isa));
    eq_print_row("echoquant %s", ECHOQUANT_VERSION);
    eq_print_row("CPU: %s, %d for this process", eq_cpu_model_name(), eq_cpu_count());
    eq_print_row("instruction sets:%s", levels.s);
    eq_print_row("%s", EQ_RESEARCH_ONLY);
    eq_str_clear(&levels);
}

/* NULL, with EQ_USAGE in err, if there is no such command. */
static const struct eq_command *find(const struct eq_command *const *commands, size_t n, const char *name,
                                     struct eq_err *err)
{
    const char *names[64];
    assert(n <= sizeof names / sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = commands[i]->name;
        if (strcmp(names[i], name) == 0)
            return commands[i];
    }
    const char *near = eq_nearest(name, names, n);
    eq_fail(err, EQ_USAGE, "there is no command \"%.60s\"%s%s%s", name, near ? "; did you mean " : "", near ? near : "",
            near ? "?" : "");
    return NULL;
}

static enum eq_status run(const struct eq_command *command, int argc, char **argv, struct eq_err *err)
{
    struct eq_session s;
    enum eq_status st = eq_session_open(&s, command, argc, argv, err);
    if (st == EQ_OK && !s.options.help)
        st = s.done ? eq_print_model(&s, EQ_OK, err) : command->run(&s, err);
    eq_session_close(&s);
    return eq_dist_close(st, err);
}

/* `help --man`, `help --man COMMAND`, `help --man settings`, `help --completion SHELL`: for packages. */
static enum eq_status made_help(const struct eq_command *const *commands, size_t n, const char *form, const char *what,
                                struct eq_err *err)
{
    struct eq_str text = {0};
    const struct eq_command *command = NULL;
    if (strcmp(form, "--completion") == 0) {
        if (what && strcmp(what, "bash") == 0)
            eq_completion_bash(commands, n, &text);
        else if (what && strcmp(what, "zsh") == 0)
            eq_completion_zsh(commands, n, &text);
        else
            return eq_fail(err, EQ_USAGE, "help --completion needs the name of a shell: bash or zsh");
    } else if (!what) {
        eq_man_overview(commands, n, &text);
    } else if (strcmp(what, "settings") == 0) {
        eq_man_settings(&text);
    } else {
        command = find(commands, n, what, err);
        if (!command)
            return EQ_USAGE;
        eq_man_command(command, &text);
    }
    eq_print_text(text.s);
    eq_str_clear(&text);
    return EQ_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* `help`, `help COMMAND`, `help settings`, `help --markdown` */
static enum eq_status help(const struct eq_command *const *commands, size_t n, int argc, char **argv,
                           struct eq_err *err)
{
    struct eq_str text = {0};
    const char *topic = argc > 1 ? argv[1] : "";
    if (strcmp(topic, "") == 0 || strcmp(topic, "help") == 0 || is_help(topic)) {
        print_overview(commands, n);
    } else if (strcmp(topic, "settings") == 0 || strcmp(topic, "--markdown") == 0) {
        if (strcmp(argv[argc - 1], "--markdown") == 0)
            eq_settings_markdown(&text);
        else
            eq_settings_help(NULL, eq_help_width(), &text);
        eq_print_text(text.s);
        eq_str_clear(&text);
    } else if (strcmp(topic, "--man") == 0 || strcmp(topic, "--completion") == 0) {
        return made_help(commands, n, topic, argc > 2 ? argv[2] : NULL, err);
    } else {
        const struct eq_command *command = find(commands, n, topic, err);
        char help_option[] = "--help", *help_argv[] = {argv[1], help_option, NULL};
        return command ? run(command, 2, help_argv, err) : EQ_USAGE;
    }
    return EQ_OK;
}

static enum eq_status dispatch(const struct eq_command *const *commands, size_t n, int argc, char **argv,
                               struct eq_err *err)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word)
        return eq_fail(err, EQ_USAGE, "no command given; `echoquant help` lists them");
    if (strcmp(word, "help") == 0 || is_help(word))
        return help(commands, n, argc - 1, argv + 1, err);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "version") == 0) {
        print_version();
        return EQ_OK;
    }
    const struct eq_command *command = find(commands, n, word, err);
    return command ? run(command, argc - 1, argv + 1, err) : EQ_USAGE;
}

enum { DEVICE_SECONDS = 900 }; /* PoCL on a busy CPU takes some minutes */

int eq_cmd_main(const struct eq_command *const *commands, size_t n, int argc, char **argv)
{
    struct eq_err err = {0};
    if (argc == 3 && strcmp(argv[1], EQ_DEVICE_TRY) == 0)
        eq_device_try(argv[2]);
    eq_device_allow_apart(DEVICE_SECONDS);
    eq_log_configure(EQ_LOG_INFO);
    eq_signals_install();
    eq_memory_reserve(argc > 1 ? argv[1] : "echoquant");
    enum eq_status st = eq_memory_settle(dispatch(commands, n, argc, argv, &err), &err);
    enum eq_status printed = eq_print_flush(st == EQ_OK ? &err : NULL);
    if (st == EQ_OK)
        st = printed;
    if (st != EQ_OK && eq_dist_speaks())
        eq_log(EQ_LOG_ERROR, "%s", err.msg);
    eq_parallel_shutdown();
    return eq_dist_exit(eq_exit_code(st));
}
