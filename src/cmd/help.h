/* Help in other forms than text: manual pages and shell completions, made from the tables. */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include "cmd/cmd.h"

extern const char eq_overview[]; /* what the program does, in a sentence */

/* man.c: append a page of section 1, of all settings in section 7. */
void eq_man_overview(const struct eq_command *const *commands, size_t n, struct eq_str *out);
void eq_man_command(const struct eq_command *command, struct eq_str *out);
void eq_man_settings(struct eq_str *out);

/* completion.c: append the completion script of a shell. */
void eq_completion_bash(const struct eq_command *const *commands, size_t n, struct eq_str *out);
void eq_completion_zsh(const struct eq_command *const *commands, size_t n, struct eq_str *out);

#endif
