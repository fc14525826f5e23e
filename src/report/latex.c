/* Tables for LaTeX. */
#include "report/compare.h"

#include <ctype.h>
#include <string.h>

static void add_escaped(struct eq_str *out, char c)
{
    static const struct {
        char c;
        const char *as;
    } special[] = {{'\\', "\\textbackslash{}"}, {'~', "\\textasciitilde{}"}, {'^', "\\textasciicircum{}"},
                   {'<', "\\textless{}"},       {'>', "\\textgreater{}"},    {'|', "\\textbar{}"},
                   {'"', "\\textquotedbl{}"},   {'`', "\\textasciigrave{}"}};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (c == special[i].c) {
            eq_str_add(out, "%s", special[i].as);
            return;
        }
    eq_str_add(out, strchr("{}$&#%_", c) && c ? "\\%c" : "%c", c);
}

/* "-3.7" is set with a minus sign, "1.5x" with a times sign, "-" alone as a dash. */
static void add_cell(struct eq_str *out, const char *cell)
{
    struct eq_str shown = {0};
    eq_str_add_shown(&shown, cell);
    const char *p = shown.s;
    size_t number = strspn(p, "0123456789.");
    if (strcmp(p, "-") == 0) {
        eq_str_add(out, "--");
    } else if (number && strcmp(p + number, "x") == 0) {
        eq_str_add(out, "%.*s$\\times$", (int)number, p);
    } else {
        bool minus = p[0] == '-' && isdigit((unsigned char)p[1]);
        eq_str_add(out, minus ? "$-$" : "");
        for (p += minus; *p; p++)
            add_escaped(out, *p);
    }
    eq_str_clear(&shown);
}

void eq_table_latex(const struct eq_table *t, struct eq_str *out)
{
    int column = 0, row = 0;
    eq_str_add(out, "\\begin{tabular}{");
    for (int i = 0; i < t->columns; i++)
        eq_str_add(out, i < t->text_columns ? "l" : "r");
    eq_str_add(out, "}\n\\toprule\n");
    EQ_EACH_TEXT(cell, &t->cells)
    {
        add_cell(out, cell);
        column = (column + 1) % t->columns;
        eq_str_add(out, column ? " & " : " \\\\\n");
        if (column == 0 && row++ == 0)
            eq_str_add(out, "\\midrule\n");
    }
    eq_str_add(out, "\\bottomrule\n\\end{tabular}\n");
}
