/* Help as text. */
#include "cmd/option_table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_WIDTH = 40, MOST_WIDTH = 120, OPTION_COLUMN = 24, NARROW_COLUMN = 8 };

int eq_help_width(void)
{
    int width = eq_columns(STDOUT_FILENO);
    if (width == 0)
        width = 80;
    return width < LEAST_WIDTH ? LEAST_WIDTH : width > MOST_WIDTH ? MOST_WIDTH : width;
}

static void add_option(const struct eq_option_row *row, int width, struct eq_str *out)
{
    char left[48], letter[8] = "    ";
    int column = width < 3 * OPTION_COLUMN ? NARROW_COLUMN : OPTION_COLUMN;
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    int n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name, row->argument ? " " : "",
                     row->argument ? row->argument : "");
    eq_str_add(out, "%s", left);
    if (n + 2 > column) {
        eq_str_add(out, "\n");
        n = 0;
    }
    eq_str_add(out, "%*s", column - n, "");
    eq_str_add_wrapped(out, row->help, column, width);
}

void eq_command_help(const struct eq_command *command, bool whole, int width, struct eq_str *out)
{
    char *usage = eq_format("usage: echoquant %s [options]%s%s\n\n", command->name, command->arguments[0] ? " " : "",
                            command->arguments);
    eq_str_add_wrapped(out, usage, 0, width);
    free(usage);
    eq_str_add_wrapped(out, whole ? command->about : command->summary, 0, width);
    eq_str_add(out, "\nOptions:\n");
    for (int i = 0; i < eq_option_count; i++)
        if (eq_option_offered(&eq_option_table[i], command))
            add_option(&eq_option_table[i], width, out);
    if (whole && command->sections) {
        eq_str_add(out, "\nSettings it reads, with their defaults:\n");
        eq_settings_help(command->sections, width, out);
    }
    eq_str_add(out, "\nExample:\n");
    char *example = eq_format("  echoquant %s %s\n\n", command->name, command->example);
    eq_str_add_wrapped(out, example, 0, width);
    free(example);
    eq_str_add_wrapped(out, "Exit codes: 0 success, 1 failure, 2 wrong usage or settings, 130 interrupted.\n", 0,
                       width);
}
