/* Manual pages from the tables of commands, options and settings: man(7) macros. */
#include "cmd/help.h"
#include "cmd/option_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char eq_overview[] = "Measures what an ejection-fraction model loses and gains from FP32 to INT8, by "
                           "post-training quantization (PTQ) or "
                           "quantization-aware training (QAT).\n";

/* Text as roff prints it literally. Words between backquotes become bold. */
static void add_text(struct eq_str *out, const char *text)
{
    bool bold = false, at_start = out->len == 0 || out->s[out->len - 1] == '\n';
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            eq_str_add(out, "\\&");
        at_start = *text == '\n';
        if (*text == '`')
            eq_str_add(out, "%s", (bold = !bold) ? "\\fB" : "\\fR");
        else if (*text == '\\')
            eq_str_add(out, "\\e");
        else if (*text == '-')
            eq_str_add(out, "\\-");
        else
            eq_str_add(out, "%c", *text);
    }
}

/* The mark of a list item ("1.", "-") at the start of an indented line: its length, 0 for other lines. */
static size_t item_mark(const char *line)
{
    size_t blanks = strspn(line, " "), mark = strcspn(line + blanks, " \n");
    bool numbered = isdigit((unsigned char)line[blanks]) != 0, dashed = mark == 1 && line[blanks] == '-';
    return blanks && (numbered || dashed) ? mark : 0;
}

/* Paragraphs of eq_str_add_wrapped: an empty line begins a new one, a list item stands by itself. */
static void add_paragraphs(struct eq_str *out, const char *text)
{
    bool begun = false, item = false;
    while (*text) {
        size_t len = strcspn(text, "\n"), blanks = strspn(text, " ");
        char *line = eq_format("%.*s", (int)(len - (blanks < len ? blanks : len)), text + blanks);
        if (line[0]) {
            size_t mark = item_mark(text);
            bool is_item = mark > 0;
            if (is_item)
                eq_str_add(out, ".IP %.*s 4\n", (int)mark, line);
            else if (!begun && out->len && item)
                eq_str_add(out, ".PP\n");
            add_text(out, is_item ? line + mark + 1 : line);
            eq_str_add(out, "\n");
            item = is_item;
            begun = true;
        } else if (begun && text[len] && text[len + 1]) {
            if (!item_mark(text + len + 1))
                eq_str_add(out, ".PP\n");
            item = false;
        }
        free(line);
        text += len + (text[len] == '\n');
    }
}

static void add_upper(struct eq_str *out, const char *text)
{
    for (; *text; text++)
        eq_str_add(out, "%c", toupper((unsigned char)*text));
}

/* command: "" for the page of the program. */
static void add_title(struct eq_str *out, const char *command, int section, const char *summary)
{
    struct eq_str name = {0};
    eq_str_add(&name, "echoquant%s%s", command[0] ? "-" : "", command);
    eq_str_add(out, ".TH ");
    add_upper(out, name.s);
    eq_str_add(out, " %d %s \"echoquant %s\" \"%s\"\n.SH NAME\n", section, ECHOQUANT_DATE, ECHOQUANT_VERSION,
               section == 1 ? "User Commands" : "Miscellaneous Information");
    add_text(out, name.s);
    eq_str_add(out, " \\- ");
    add_text(out, summary);
    eq_str_add(out, "\n");
    eq_str_clear(&name);
}

static void add_option(struct eq_str *out, const struct eq_option_row *row)
{
    eq_str_add(out, ".TP\n");
    if (row->letter)
        eq_str_add(out, "\\fB\\-%c\\fR, ", row->letter);
    eq_str_add(out, "\\fB\\-\\-");
    add_text(out, row->name);
    eq_str_add(out, "\\fR");
    if (row->argument)
        eq_str_add(out, " \\fI%s\\fR", row->argument);
    eq_str_add(out, "\n");
    add_text(out, row->help);
    eq_str_add(out, "\n");
}

/* The settings of the sections, as in eq_settings_help. */
static void add_settings(struct eq_str *out, const char *const *sections)
{
    struct eq_setting_info info;
    for (size_t i = 0; eq_setting_describe(i, &info); i++) {
        if (eq_section_listed(info.key, sections)) {
            eq_str_add(out, ".TP\n\\fB%s\\fR = ", info.key);
            add_text(out, info.initial[0] ? info.initial : "\"\"");
            eq_str_add(out, "\n");
            add_text(out, info.help);
            eq_str_add(out, " [");
            add_text(out, info.takes);
            eq_str_add(out, "]%s\n", info.free_to_change ? " *" : "");
        }
        free(info.takes);
    }
}

static const char exit_status[] = ".SH EXIT STATUS\n"
                                  ".TP\n\\fB0\\fR\nsuccess\n"
                                  ".TP\n\\fB1\\fR\nfailure: a file, the data, memory or the machine\n"
                                  ".TP\n\\fB2\\fR\nwrong usage or settings; nothing was changed\n"
                                  ".TP\n\\fB130\\fR\ninterrupted; the same command resumes\n";

void eq_man_command(const struct eq_command *command, struct eq_str *out)
{
    add_title(out, command->name, 1, command->summary);
    eq_str_add(out, ".SH SYNOPSIS\n.B echoquant ");
    add_text(out, command->name);
    eq_str_add(out, "\n[\\fIoptions\\fR]");
    if (command->arguments[0]) {
        eq_str_add(out, " ");
        add_text(out, command->arguments);
    }
    eq_str_add(out, "\n.SH DESCRIPTION\n");
    add_paragraphs(out, command->about);
    eq_str_add(out, ".SH OPTIONS\n");
    for (int i = 0; i < eq_option_count; i++)
        if (eq_option_offered(&eq_option_table[i], command))
            add_option(out, &eq_option_table[i]);
    if (command->sections) {
        eq_str_add(out, ".SH SETTINGS\nThe settings that it reads, with their defaults.\n"
                        "Set one with \\fB\\-\\-set\\fR \\fIKEY\\fR=\\fIVALUE\\fR.\n");
        add_settings(out, command->sections);
    }
    eq_str_add(out, "%s.SH SEE ALSO\n.BR echoquant (1),\n.BR echoquant\\-settings (7)\n", exit_status);
}

void eq_man_settings(struct eq_str *out)
{
    add_title(out, "settings", 7, "all settings of echoquant");
    eq_str_add(out, ".SH DESCRIPTION\n");
    add_paragraphs(out, eq_settings_sources);
    eq_str_add(out, ".SH SETTINGS\n");
    add_settings(out, NULL);
    eq_str_add(out, ".SH SEE ALSO\n.BR echoquant (1)\n");
}

void eq_man_overview(const struct eq_command *const *commands, size_t n, struct eq_str *out)
{
    add_title(out, "", 1, "measure what an ejection-fraction model loses and gains from FP32 to INT8");
    eq_str_add(out, ".SH SYNOPSIS\n.B echoquant\n\\fICOMMAND\\fR [\\fIoptions\\fR]\n.br\n.B echoquant help\n"
                    "[\\fICOMMAND\\fR | \\fBsettings\\fR]\n.br\n.B echoquant \\-\\-version\n.SH DESCRIPTION\n");
    add_paragraphs(out, eq_overview);
    eq_str_add(out, ".PP\n");
    add_text(out, EQ_RESEARCH_ONLY);
    eq_str_add(out, "\n.SH COMMANDS\n");
    for (size_t i = 0; i < n; i++) {
        eq_str_add(out, ".TP\n.BR echoquant\\-");
        add_text(out, commands[i]->name);
        eq_str_add(out, " (1)\n");
        add_text(out, commands[i]->summary);
        eq_str_add(out, "\n");
    }
    eq_str_add(out,
               "%s.SH FILES\n.TP\n\\fIshare/echoquant/configs\\fR, \\fIshare/echoquant/models\\fR\n"
               "Configurations and a small model, beside the folder of the program.\n"
               "A name that \\fB\\-\\-config\\fR or \\fB\\-\\-model\\fR does not find in the working directory is\n"
               "looked up there: \\fB\\-\\-config default\\fR.\n"
               ".SH EXAMPLES\n.TP\n.B echoquant run\\-all\n"
               "The default experiment on synthetic clips, made on the way.\n"
               ".TP\n.B echoquant run\\-all \\-\\-config echonet \\-\\-data /data/EchoNet\\-Dynamic\n"
               "The experiment on real clips.\n"
               ".TP\n.B echoquant predict \\-\\-model runs/echonet/ptq.safetensors clip.avi\n"
               "The EF of a clip.\n"
               ".SH SEE ALSO\n.BR echoquant\\-settings (7)\n",
               exit_status);
}
