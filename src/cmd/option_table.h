/* The table of options, for reading argv, for help, and for what else is made from it. */
#ifndef CMD_OPTION_TABLE_H
#define CMD_OPTION_TABLE_H

#include "cmd/cmd.h"

enum eq_option_kind {
    EQ_OPTION_SETTING, /* a short form of --set; field: a bool that records that it was given */
    EQ_OPTION_TEXT,
    EQ_OPTION_FLAG,
    EQ_OPTION_SET,
    EQ_OPTION_CONFIG,
    EQ_OPTION_QUIET,
    EQ_OPTION_VERBOSE
};

struct eq_option_row {
    const char *name;
    char letter; /* 0: none */
    const char *argument;
    unsigned bit; /* 0: every command has it */
    enum eq_option_kind kind;
    size_t field; /* offset in struct eq_options; 0: none */
    const char *setting, *help;
};
extern const struct eq_option_row eq_option_table[];
extern const int eq_option_count;
enum { EQ_MAX_OPTIONS = 64 };

/* Whether the command has the option. */
bool eq_option_offered(const struct eq_option_row *row, const struct eq_command *command);

#endif
