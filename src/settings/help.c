/* The table of settings for readers: in --help and in docs/CONFIG.md. */
#include "settings/table.h"

#include <string.h>

enum { HELP_COLUMN = 38 };

static void add_row(struct eq_str *out, const struct eq_setting *row, int width)
{
    struct eq_str text = {0};
    int n = (int)out->len;
    eq_str_add(out, "  %s = %s", row->key, row->initial[0] ? row->initial : "\"\"");
    n = (int)out->len - n;
    if (n + 2 > HELP_COLUMN) {
        eq_str_add(out, "\n");
        n = 0;
    }
    eq_str_add(out, "%*s", HELP_COLUMN - n, "");
    eq_str_add(&text, "%s", row->help);
    if (row->type == EQ_SETTING_INT || row->type == EQ_SETTING_REAL || row->type == EQ_SETTING_ENUM) {
        eq_str_add(&text, " [");
        eq_setting_describe_range(row, &text);
        eq_str_add(&text, "%s%s]", row->unit[0] ? " " : "", row->unit);
    }
    eq_str_add_wrapped(out, text.s, HELP_COLUMN, width);
    eq_str_clear(&text);
}

void eq_settings_help(const char *const *sections, int width, struct eq_str *out)
{
    for (size_t i = 0; i < eq_setting_count; i++)
        if (eq_section_listed(eq_setting_table[i].key, sections))
            add_row(out, &eq_setting_table[i], width);
}

static void add_cell(struct eq_str *out, const char *text)
{
    for (; *text; text++)
        eq_str_add(out, *text == '|' ? "\\|" : "%c", *text);
}

static const char intro[] =
    "# Settings\n\n"
    "This page is made by `echoquant help --markdown` from the table in `src/settings/settings.c`; a test fails when "
    "the two differ.\n\n"
    "A setting gets its value from, later ones winning:\n\n"
    " 1. its default;\n"
    " 2. the `config.json` of the run directory, when the command works on one that has it and no `--config` is "
    "given;\n"
    " 3. `--config FILE` (repeatable): a JSON object with any part of the settings, e.g. "
    "`{\"data\": {\"dir\": \"/data/EchoNet-Dynamic\", \"synthetic\": false}, \"train\": {\"epochs\": 30}}`;\n"
    " 4. `--set KEY=VALUE` (repeatable), and the short forms `--run DIR` (`run.dir`), `--data DIR` (`data.dir`, with "
    "`data.synthetic=false`), `--seed N` (`run.seed`), `--threads N` (`run.threads`), `--cpu LEVEL` (`run.cpu`).\n\n"
    "A key that does not exist is refused with the nearest one that does; a value of the wrong type or outside its "
    "range is refused with the range. The run directory keeps the result as `config.json`, with `origin` saying for "
    "each setting where its value came from; that file can be given to `--config` again. Settings marked * have no "
    "part in the models and may differ when an interrupted run goes on; a change of any other is refused, with its "
    "name, unless `--force` starts anew.\n";

void eq_settings_markdown(struct eq_str *out)
{
    const char *section = "";
    eq_str_add_wrapped(out, intro, 0, 100);
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        size_t len = strcspn(row->key, ".");
        if (strncmp(section, row->key, len + 1) != 0)
            eq_str_add(out, "\n## %.*s\n\n| key | default | takes | meaning |\n|---|---|---|---|\n", (int)len,
                       row->key);
        section = row->key;
        eq_str_add(out, "| `%s`%s | `%s` | ", row->key, row->free_to_change ? " *" : "",
                   row->initial[0] ? row->initial : "\"\"");
        eq_setting_describe_range(row, out);
        eq_str_add(out, "%s%s | ", row->unit[0] ? " " : "", row->unit);
        add_cell(out, row->help);
        eq_str_add(out, " |\n");
    }
}
