/* Shell completions from the tables of commands, options and settings. Each script is data in the shape of the shell's
 * `case`, and a few lines of code that look up what the words so far ask for. */
#include "cmd/help.h"
#include "cmd/option_table.h"

#include <stdlib.h>
#include <string.h>

/* Appends what a setting may be, separated by blanks; nothing if that is any text or number. */
static void add_values(struct eq_str *out, const struct eq_setting_info *info)
{
    for (size_t i = 0; info->choices && info->choices[i]; i++)
        eq_str_add(out, "%s%s", i ? " " : "", info->choices[i]);
    if (strcmp(info->key, "run.cpu") == 0) {
        eq_str_add(out, "auto");
        for (int isa = 0; isa < EQ_ISA_COUNT; isa++)
            eq_str_add(out, " %s", eq_isa_name((enum eq_isa)isa));
    }
    if (strcmp(info->key, "run.device") == 0)
        eq_str_add(out, "cpu gpu opencl cuda");
}

/* The same for the argument of an option. */
static void add_argument_values(struct eq_str *out, const struct eq_option_row *row)
{
    static const char *const texts[][2] = {
        {"fresh", "fp32 int8"}, {"residual", "float u8"}, {"opset", "17 18 19 20 21"}};
    struct eq_setting_info info;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(row->name, texts[i][0]) == 0)
            eq_str_add(out, "%s", texts[i][1]);
    for (int i = 0; eq_report_format_names[i] && strcmp(row->name, "format") == 0; i++)
        eq_str_add(out, "%s%s", i ? " " : "", eq_report_format_names[i]);
    for (int i = 0; i < EQ_CROP_COUNT && strcmp(row->name, "crop") == 0; i++)
        eq_str_add(out, "%s%s", i ? " " : "", eq_crop_names[i]);
    for (size_t i = 0; row->setting && eq_setting_describe(i, &info); i++) {
        if (strcmp(info.key, row->setting) == 0)
            add_values(out, &info);
        free(info.takes);
    }
}

static bool is_argument(const struct eq_option_row *row, const char *kind)
{
    return row->argument && strcmp(row->argument, kind) == 0;
}

/* The names that `eval` takes, and nothing for other commands. */
static void add_words(struct eq_str *out, const struct eq_command *command)
{
    if (strcmp(command->name, "eval") == 0)
        for (const struct eq_run_model *m = eq_run_models; m->name; m++)
            eq_str_add(out, "%s%s", m == eq_run_models ? "" : " ", m->name);
}

static void add_names(struct eq_str *out, const struct eq_command *const *commands, size_t n)
{
    for (size_t i = 0; i < n; i++)
        eq_str_add(out, "%s%s", i ? " " : "", commands[i]->name);
}

/* ---- bash ---------------------------------------------------------------- */

/* One alternative of a `case`: the option in all its spellings. */
static void add_bash_option(struct eq_str *out, const struct eq_option_row *row, const char *action)
{
    eq_str_add(out, "    --%s", row->name);
    if (row->letter)
        eq_str_add(out, " | -%c", row->letter);
    eq_str_add(out, ") %s ;;\n", action);
}

static void add_bash_arguments(struct eq_str *out, const struct eq_command *command)
{
    eq_str_add(out, "%s)\n    case $2 in\n", command->name);
    for (int i = 0; i < eq_option_count; i++) {
        const struct eq_option_row *row = &eq_option_table[i];
        struct eq_str values = {0};
        if (!row->argument || !eq_option_offered(row, command))
            continue;
        add_argument_values(&values, row);
        char *words = eq_format("echo 'words %s'", values.s ? values.s : "");
        add_bash_option(out, row,
                        row->kind == EQ_OPTION_SET ? "echo setting"
                        : is_argument(row, "FILE") ? "echo files"
                        : is_argument(row, "DIR")  ? "echo folders"
                                                   : words);
        free(words);
        eq_str_clear(&values);
    }
    eq_str_add(out, "    esac\n    ;;\n");
}

static const char bash_code[] =
    "\n"
    "_echoquant() {\n"
    "    local i cur prev last kind glue= words=()\n"
    "    # Bash splits words at \"=\": put them together again.\n"
    "    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "        last=$((${#words[@]} - 1))\n"
    "        if ((last >= 0)) && [[ ${COMP_WORDS[i]} == = || $glue ]]; then\n"
    "            words[last]+=${COMP_WORDS[i]}\n"
    "            [[ ${COMP_WORDS[i]} == = ]] && glue=1 || glue=\n"
    "        else\n"
    "            words+=(\"${COMP_WORDS[i]}\")\n"
    "        fi\n"
    "    done\n"
    "    last=$((${#words[@]} - 1))\n"
    "    cur=${words[last]}\n"
    "    COMPREPLY=()\n"
    "    if ((last == 0)); then\n"
    "        COMPREPLY=($(compgen -W \"$_echoquant_commands help --help --version\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [[ ${words[0]} == help ]]; then\n"
    "        case ${words[last - 1]} in\n"
    "        --completion) COMPREPLY=($(compgen -W 'bash zsh' -- \"$cur\")) ;;\n"
    "        *) COMPREPLY=($(compgen -W \"$_echoquant_commands settings --markdown --man --completion\" -- \"$cur\")) "
    ";;\n"
    "        esac\n"
    "        return\n"
    "    fi\n"
    "    prev=${words[last - 1]}\n"
    "    if [[ $cur == --*=* ]]; then\n"
    "        prev=${cur%%=*}\n"
    "        cur=${cur#*=}\n"
    "    fi\n"
    "    kind=$(_echoquant_argument \"${words[0]}\" \"$prev\")\n"
    "    case $kind in\n"
    "    setting)\n"
    "        if [[ $cur == *=* ]]; then\n"
    "            COMPREPLY=($(compgen -P \"${cur%%=*}=\" -W \"$(_echoquant_values \"${cur%%=*}\")\" -- "
    "\"${cur#*=}\"))\n"
    "            [[ $COMP_WORDBREAKS == *=* ]] && COMPREPLY=(\"${COMPREPLY[@]#*=}\")\n"
    "        else\n"
    "            COMPREPLY=($(compgen -S = -W \"$_echoquant_settings\" -- \"$cur\"))\n"
    "            compopt -o nospace 2>/dev/null\n"
    "        fi\n"
    "        return\n"
    "        ;;\n"
    "    words*)\n"
    "        COMPREPLY=($(compgen -W \"${kind#words}\" -- \"$cur\"))\n"
    "        return\n"
    "        ;;\n"
    "    folders)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
    "        return\n"
    "        ;;\n"
    "    esac\n"
    "    if [[ $cur == -* && $kind != files ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$(_echoquant_options \"${words[0]}\")\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "    [[ $kind ]] || COMPREPLY+=($(compgen -W \"$(_echoquant_words \"${words[0]}\")\" -- \"$cur\"))\n"
    "}\n"
    "complete -F _echoquant echoquant\n";

void eq_completion_bash(const struct eq_command *const *commands, size_t n, struct eq_str *out)
{
    struct eq_setting_info info;
    eq_str_add(out, "# Completion of echoquant for bash, made by `echoquant help --completion bash`.\n"
                    "_echoquant_commands='");
    add_names(out, commands, n);
    eq_str_add(out, "'\n_echoquant_settings='");
    for (size_t i = 0; eq_setting_describe(i, &info); i++) {
        eq_str_add(out, "%s%s", i ? " " : "", info.key);
        free(info.takes);
    }
    eq_str_add(out, "'\n\n# What the setting $1 may be.\n_echoquant_values() {\n    case $1 in\n");
    for (size_t i = 0; eq_setting_describe(i, &info); i++) {
        struct eq_str values = {0};
        add_values(&values, &info);
        if (values.s)
            eq_str_add(out, "    %s) echo '%s' ;;\n", info.key, values.s);
        eq_str_clear(&values);
        free(info.takes);
    }
    eq_str_add(out, "    esac\n}\n\n# The options of command $1.\n_echoquant_options() {\n    case $1 in\n");
    for (size_t i = 0; i < n; i++) {
        eq_str_add(out, "    %s) echo '", commands[i]->name);
        for (int j = 0; j < eq_option_count; j++)
            if (eq_option_offered(&eq_option_table[j], commands[i]))
                eq_str_add(out, "--%s ", eq_option_table[j].name);
        eq_str_add(out, "' ;;\n");
    }
    eq_str_add(out,
               "    esac\n}\n\n# Words, besides files, that command $1 takes.\n_echoquant_words() {\n    case $1 in\n");
    for (size_t i = 0; i < n; i++) {
        struct eq_str words = {0};
        add_words(&words, commands[i]);
        if (words.s)
            eq_str_add(out, "    %s) echo '%s' ;;\n", commands[i]->name, words.s);
        eq_str_clear(&words);
    }
    eq_str_add(out, "    esac\n}\n\n# What option $2 of command $1 takes; nothing if it is a switch or no option.\n"
                    "_echoquant_argument() {\n    case $1 in\n");
    for (size_t i = 0; i < n; i++)
        add_bash_arguments(out, commands[i]);
    eq_str_add(out, "    esac\n}\n%s", bash_code);
}

/* ---- zsh ----------------------------------------------------------------- */

/* Text inside single quotes and the brackets of an _arguments specification, where a colon ends a part. */
static void add_zsh_text(struct eq_str *out, const char *text)
{
    for (; *text; text++)
        eq_str_add(out, *text == '\'' ? "'\\''" : strchr("[]:\\", *text) ? "\\%c" : "%c", *text);
}

static void add_zsh_argument(struct eq_str *out, const struct eq_option_row *row)
{
    struct eq_str values = {0};
    add_argument_values(&values, row);
    eq_str_add(out, ":%s:", row->argument);
    if (row->kind == EQ_OPTION_SET)
        eq_str_add(out, "_echoquant_setting");
    else if (is_argument(row, "FILE"))
        eq_str_add(out, "_files");
    else if (is_argument(row, "DIR"))
        eq_str_add(out, "_files -/");
    else
        eq_str_add(out, "(%s)", values.s ? values.s : "");
    eq_str_clear(&values);
}

static void add_zsh_spelling(struct eq_str *out, const struct eq_option_row *row, bool longer)
{
    bool repeatable = row->kind == EQ_OPTION_SET || row->kind == EQ_OPTION_CONFIG;
    eq_str_add(out, "            '");
    if (repeatable)
        eq_str_add(out, "*");
    else if (row->letter)
        eq_str_add(out, "(-%c --%s)", row->letter, row->name);
    if (longer)
        eq_str_add(out, "--%s%s[", row->name, row->argument ? "=" : "");
    else
        eq_str_add(out, "-%c%s[", row->letter, row->argument ? "+" : "");
    add_zsh_text(out, row->help);
    eq_str_add(out, "]");
    if (row->argument)
        add_zsh_argument(out, row);
    eq_str_add(out, "' \\\n");
}

void eq_completion_zsh(const struct eq_command *const *commands, size_t n, struct eq_str *out)
{
    struct eq_setting_info info;
    eq_str_add(out, "#compdef echoquant\n"
                    "# Completion of echoquant for zsh, made by `echoquant help --completion zsh`.\n\n"
                    "_echoquant_setting() {\n"
                    "    local key=${PREFIX%%%%=*}\n"
                    "    if ! compset -P '*='; then\n        compadd -S = --");
    for (size_t i = 0; eq_setting_describe(i, &info); i++) {
        eq_str_add(out, " \\\n            %s", info.key);
        free(info.takes);
    }
    eq_str_add(out, "\n        return\n    fi\n    case $key in\n");
    for (size_t i = 0; eq_setting_describe(i, &info); i++) {
        struct eq_str values = {0};
        add_values(&values, &info);
        if (values.s)
            eq_str_add(out, "    %s) compadd -- %s ;;\n", info.key, values.s);
        eq_str_clear(&values);
        free(info.takes);
    }
    eq_str_add(out, "    *) _message value ;;\n    esac\n}\n\n_echoquant() {\n    local -a commands=(\n");
    for (size_t i = 0; i < n; i++) {
        eq_str_add(out, "        '%s:", commands[i]->name);
        add_zsh_text(out, commands[i]->summary);
        eq_str_add(out, "'\n");
    }
    eq_str_add(out, "        'help:help on a command or on all settings'\n    )\n"
                    "    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n"
                    "    shift words\n    ((CURRENT--))\n    case $words[1] in\n");
    for (size_t i = 0; i < n; i++) {
        struct eq_str own = {0};
        eq_str_add(out, "    %s)\n        _arguments -s \\\n", commands[i]->name);
        for (int j = 0; j < eq_option_count; j++) {
            const struct eq_option_row *row = &eq_option_table[j];
            if (!eq_option_offered(row, commands[i]))
                continue;
            if (row->letter)
                add_zsh_spelling(out, row, false);
            add_zsh_spelling(out, row, true);
        }
        add_words(&own, commands[i]);
        if (own.s)
            eq_str_add(out, "            '*:name:(%s)'\n        ;;\n", own.s);
        else
            eq_str_add(out, "            '*:file:_files'\n        ;;\n");
        eq_str_clear(&own);
    }
    eq_str_add(out, "    help) compadd -- ");
    add_names(out, commands, n);
    eq_str_add(out, " settings ;;\n    esac\n}\n\n_echoquant \"$@\"\n");
}
