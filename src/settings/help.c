/* The table of settings as text, for --help and docs/CONFIG.md. */
#include "settings/table.h"

#include <string.h>

enum { HELP_COLUMN = 38, NARROW_COLUMN = 6 };

static void add_row(struct eq_str *out, const struct eq_setting *row, int width)
{
    struct eq_str text = {0};
    int n = (int)out->len;
    eq_str_add(out, "  %s = %s", row->key, row->initial[0] ? row->initial : "\"\"");
    n = (int)out->len - n;
    int column = width < 2 * HELP_COLUMN ? NARROW_COLUMN : HELP_COLUMN;
    if (n + 2 > column) {
        eq_str_add(out, "\n");
        n = 0;
    }
    eq_str_add(out, "%*s", column - n, "");
    eq_str_add(&text, "%s", row->help);
    if (row->type == EQ_SETTING_INT || row->type == EQ_SETTING_REAL || row->type == EQ_SETTING_ENUM) {
        eq_str_add(&text, " [");
        eq_setting_describe_range(row, &text);
        eq_str_add(&text, "%s%s]", row->unit[0] ? " " : "", row->unit);
    }
    eq_str_add_wrapped(out, text.s, column, width);
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
    "`echoquant help --markdown` generates this page from the table in `src/settings/settings.c`. A test fails if the "
    "two differ.\n\n";

const char eq_settings_sources[] =
    "The value of a setting comes from these sources; a later one wins:\n\n"
    " 1. its default;\n"
    " 2. the `config.json` of the run directory, if there is one and no `--config` is given;\n"
    " 3. `--config FILE` (repeatable): a JSON object with any part of the settings, e.g. "
    "`{\"data\": {\"dir\": \"/data/EchoNet-Dynamic\", \"synthetic\": false}, \"train\": {\"epochs\": 30}}`;\n"
    " 4. `--set KEY=VALUE` (repeatable), and the short forms `--run DIR` (`run.dir`), `--data DIR` (`data.dir`, with "
    "`data.synthetic=false`), `--seed N` (`run.seed`), `--threads N` (`run.threads`), `--cpu LEVEL` (`run.cpu`).\n\n"
    "An unknown key is refused, and the message suggests the nearest known one. A value of the wrong type or out of "
    "range is refused, and the message states the range. The run directory keeps the resolved settings as "
    "`config.json`; its `origin` says where each value came from. You can pass that file to `--config` again. "
    "Settings marked * do not affect the models and may change when a run is resumed. A change of any other setting "
    "is refused, and the message names it.\n";

bool eq_setting_describe(size_t i, struct eq_setting_info *out)
{
    static const char *const switches[] = {"true", "false", NULL};
    if (i >= eq_setting_count)
        return false;
    const struct eq_setting *row = &eq_setting_table[i];
    struct eq_str takes = {0};
    eq_setting_describe_range(row, &takes);
    eq_str_add(&takes, "%s%s", row->unit[0] ? " " : "", row->unit);
    *out = (struct eq_setting_info){
        row->key, row->initial, row->help, row->type == EQ_SETTING_BOOL ? switches : row->choices, row->free_to_change,
        takes.s};
    return true;
}

void eq_setting_value(size_t i, const struct eq_config *config, struct eq_str *out)
{
    eq_setting_print(&eq_setting_table[i], config, out);
}

void eq_settings_markdown(struct eq_str *out)
{
    const char *section = "";
    eq_str_add_wrapped(out, intro, 0, 100);
    eq_str_add_wrapped(out, eq_settings_sources, 0, 100);
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        size_t len = strcspn(row->key, ".");
        if (strncmp(section, row->key, len + 1) != 0)
            eq_str_add(out, "\n## %.*s\n\n| key | default | values | meaning |\n|---|---|---|---|\n", (int)len,
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
