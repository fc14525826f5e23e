/* Pictures: colors, CSV, scripts, gnuplot, and its SVG for a file and for a page. */
#include "unit/scratch_dir.h"

#include "echoquant/picture.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* ---- colors ---------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned paper[2]; /* on white, on dark */
} colors[] = {
#define ROW(name, light, dim) {#name, {light, dim}},
    EQ_PICTURE_COLORS(ROW)};
enum { COLORS = sizeof colors / sizeof *colors };

static void linear(unsigned rgb, double out[3])
{
    for (int i = 0; i < 3; i++) {
        double v = (double)(rgb >> (16 - 8 * i) & 255) / 255;
        out[i] = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
    }
}

/* WCAG 2's contrast of two colors. */
static double contrast(unsigned a, unsigned b)
{
    double x[3], y[3];
    linear(a, x);
    linear(b, y);
    double l = 0.2126 * x[0] + 0.7152 * x[1] + 0.0722 * x[2], m = 0.2126 * y[0] + 0.7152 * y[1] + 0.0722 * y[2];
    return (fmax(l, m) + 0.05) / (fmin(l, m) + 0.05);
}

static unsigned color_of(const char *name, int paper)
{
    for (int i = 0; i < COLORS; i++)
        if (strcmp(colors[i].name, name) == 0)
            return colors[i].paper[paper];
    fail_msg("no color %s", name);
    return 0;
}

static void texts_and_series_stand_out_on_both_papers(void **state)
{
    static const char *const texts[] = {"ink", "soft", "s1", "s2", "s3", "s4", "s5", "s6"};
    (void)state;
    for (int paper = 0; paper < 2; paper++) {
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            for (int on = 0; on < 2; on++) {
                double c = contrast(color_of(texts[i], paper), color_of(on ? "wash" : "paper", paper));
                if (c < 4.5)
                    fail_msg("%s has a contrast of %.2f on paper %d", texts[i], c, paper);
            }
        assert_true(contrast(color_of("axis", paper), color_of("paper", paper)) >= 3); /* WCAG 1.4.11: graphics */
    }
}

/* Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009:
 * no red, no green, no blue cones; on linear RGB. The first leaves colors as they are. */
static const double deficiencies[4][9] = {
    {1, 0, 0, 0, 1, 0, 0, 0, 1},
    {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
    {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
    {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900}};

static void lab_of(unsigned rgb, const double m[9], double lab[3])
{
    double in[3], v[3], f[3];
    linear(rgb, in);
    for (int i = 0; i < 3; i++)
        v[i] = fmin(fmax(m[3 * i] * in[0] + m[3 * i + 1] * in[1] + m[3 * i + 2] * in[2], 0), 1);
    const double xyz[3] = {(0.4124 * v[0] + 0.3576 * v[1] + 0.1805 * v[2]) / 0.9505,
                           0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2],
                           (0.0193 * v[0] + 0.1192 * v[1] + 0.9505 * v[2]) / 1.089};
    for (int i = 0; i < 3; i++)
        f[i] = xyz[i] > 0.008856 ? cbrt(xyz[i]) : 7.787 * xyz[i] + 16.0 / 116;
    lab[0] = 116 * f[1] - 16, lab[1] = 500 * (f[0] - f[1]), lab[2] = 200 * (f[1] - f[2]);
}

/* The first four, which a run has at once, by at least 10 in CIELAB, four times what is just noticed. */
static void series_differ_for_the_color_blind(void **state)
{
    (void)state;
    for (int paper = 0; paper < 2; paper++)
        for (int d = 0; d < 4; d++)
            for (int i = 1; i <= 4; i++)
                for (int k = i + 1; k <= 4; k++) {
                    double a[3], b[3];
                    char names[2][16];
                    snprintf(names[0], sizeof names[0], "s%d", i);
                    snprintf(names[1], sizeof names[1], "s%d", k);
                    lab_of(color_of(names[0], paper), deficiencies[d], a);
                    lab_of(color_of(names[1], paper), deficiencies[d], b);
                    double distance = sqrt(pow(a[0] - b[0], 2) + pow(a[1] - b[1], 2) + pow(a[2] - b[2], 2));
                    if (distance < 10)
                        fail_msg("%s and %s differ by %.1f with deficiency %d on paper %d", names[0], names[1],
                                 distance, d, paper);
                }
}

/* ---- texts ------------------------------------------------------------------- */

static void csv_quotes_what_it_must(void **state)
{
    struct eq_str data = {0};
    (void)state;
    eq_csv_text(&data, "plain");
    eq_csv_text(&data, "a,b");
    eq_csv_text(&data, "say \"so\"");
    eq_csv_real(&data, 0.1);
    eq_csv_real(&data, NAN);
    eq_csv_text(&data, "two\nlines");
    eq_csv_end(&data);
    eq_csv_text(&data, "next");
    assert_string_equal(data.s, "plain,\"a,b\",\"say \"\"so\"\"\",0.1,,\"two\nlines\"\nnext");
    eq_str_clear(&data);
}

/* A name in a script must not end its string, nor begin a command. */
static void a_script_shows_any_text(void **state)
{
    struct eq_str script = {0};
    (void)state;
    eq_script_text(&script, "it's\n`rm x` \"$(y)\"; system('z')");
    assert_string_equal(script.s, "'it''s\\n`rm x` \"$(y)\"; system(''z'')'");
    assert_null(strchr(script.s, '\n'));
    eq_str_clear(&script);
}

/* ---- SVG ----------------------------------------------------------------------- */

/* As gnuplot 5.4 writes it. */
static const char from_gnuplot[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<svg \n viewBox=\"0 0 400 300\"\n "
    "xmlns=\"http://www.w3.org/2000/svg\">\n"
    "<title>Gnuplot</title>\n<g id=\"gnuplot_canvas\">\n<rect x=\"0\" y=\"0\" width=\"400\" height=\"300\" "
    "fill=\"#ffffff\"/>\n<defs><circle id='gpPt5' r='1' stroke='currentColor'/><use xlink:href='#gpPt5' id='gpPt6'/>"
    "<filter id='f'><feFlood/></filter></defs>\n"
    "<g fill=\"none\" color=\"black\" stroke=\"currentColor\" stroke-width=\"1.00\">\n</g>\n"
    "<g fill=\"none\" color=\"black\" stroke=\"currentColor\" stroke-width=\"2.00\">\n"
    "<path stroke='rgb(  0, 103, 168)' stroke-dasharray='2.5,4.0'  d='M59.15,261.00 L68.906,261.00 '/></g>\n"
    "<g fill=\"none\"><g onmousemove=\"gnuplot_svg.showHypertext(evt,'1')\" onmouseout=\"gnuplot_svg.hide()\"><title> "
    "</title><use xlink:href='#gpPt6' transform='translate(59.15,261.00) scale(2.44)' color='rgb(192,74,0)' "
    "opacity='0.62'/></g></g>\n<g onclick='alert(1)'><text x='3'>5 &lt; 6</text></g><script>alert(2)</script>\n"
    "<use xlink:href='http://example.org/a.svg#b'/></g>\n</svg>\n";

static struct eq_picture described(void)
{
    struct eq_picture p = {0};
    eq_str_add(&p.name, "any");
    eq_str_add(&p.title, "A & \"B\"");
    eq_str_add(&p.alt, "3 < 4");
    eq_str_add_bytes(&p.points, "first\0<second>", 15);
    return p;
}

static void clear(struct eq_picture *p)
{
    eq_str_clear(&p->name);
    eq_str_clear(&p->title);
    eq_str_clear(&p->alt);
    eq_str_clear(&p->points);
}

static void a_page_gets_variables_and_ids_of_its_own(void **state)
{
    struct eq_picture p = described();
    struct eq_str out = {0};
    (void)state;
    assert_int_equal(eq_picture_svg(from_gnuplot, strlen(from_gnuplot), &p, "p7-", &out, NULL), EQ_OK);
    assert_non_null(strstr(out.s, "role=\"img\" aria-label=\"A &amp; &quot;B&quot;. 3 &lt; 4\""));
    assert_non_null(strstr(out.s, "id=\"p7-gpPt5\""));
    assert_non_null(strstr(out.s, "href=\"#p7-gpPt5\""));
    assert_non_null(strstr(out.s, "stroke=\"var(--s1)\" stroke-dasharray=\"2.5,4\" d=\"M59.1,261 L68.9,261\""));
    assert_non_null(strstr(out.s, "fill=\"var(--s2)\" fill-opacity=\"0.62\""));
    assert_non_null(strstr(out.s, "<circle cx=\"59.15\" cy=\"261\" r=\"2.44\"><title>&lt;second></title></circle>"));
    assert_non_null(strstr(out.s, "5 &lt; 6"));
    assert_null(strstr(out.s, "<rect")); /* the page has its paper */
    static const char *const out_of_place[] = {"alert", "onclick", "onmouse", "example.org", "filter",
                                               "xmlns", "http",    "<?xml",   "Gnuplot"};
    for (size_t i = 0; i < sizeof out_of_place / sizeof *out_of_place; i++)
        assert_null(strstr(out.s, out_of_place[i]));
    eq_str_clear(&out);
    clear(&p);
}

static void a_file_stands_alone(void **state)
{
    struct eq_picture p = described();
    struct eq_str out = {0}, again = {0};
    (void)state;
    assert_int_equal(eq_picture_svg(from_gnuplot, strlen(from_gnuplot), &p, NULL, &out, NULL), EQ_OK);
    assert_non_null(strstr(out.s, "xmlns=\"http://www.w3.org/2000/svg\""));
    assert_non_null(strstr(out.s, "<title>A &amp; &quot;B&quot;</title>\n<desc>3 &lt; 4</desc>"));
    assert_non_null(strstr(out.s, "<rect width=\"400\" height=\"300\" fill=\"#ffffff\" stroke=\"none\"/>"));
    assert_non_null(strstr(out.s, "stroke=\"#0067a8\""));
    assert_null(strstr(out.s, "var("));
    /* the page reads the file, which has the texts of its points already */
    assert_non_null(strstr(out.s, "<title>&lt;second></title></circle>"));
    assert_int_equal(eq_picture_svg(out.s, out.len, &p, "p1-", &again, NULL), EQ_OK);
    assert_non_null(strstr(again.s, "r=\"2.44\"><title>&lt;second&gt;</title></circle>"));
    assert_non_null(strstr(again.s, "var(--s1)"));
    assert_null(strstr(again.s, "<rect"));
    eq_str_clear(&out);
    eq_str_clear(&again);
    clear(&p);
}

static void half_a_picture_is_refused(void **state)
{
    struct eq_picture p = described();
    struct eq_str out = {0};
    struct eq_err err;
    (void)state;
    eq_str_add(&out, "before");
    for (size_t len = 0; len + 8 < strlen(from_gnuplot); len += 7) {
        assert_int_equal(eq_picture_svg(from_gnuplot, len, &p, "p1-", &out, &err), EQ_FORMAT);
        assert_string_equal(out.s, "before");
    }
    assert_string_equal(err.msg, "any.svg is no whole picture of gnuplot");
    eq_str_clear(&out);
    clear(&p);
}

/* ---- drawing ------------------------------------------------------------------- */

static bool there(const char *name)
{
    char *path = eq_path_join(dir, name);
    bool exists = eq_path_may_exist(path);
    free(path);
    return exists;
}

static void add(struct eq_pictures *all, const char *name, const char *plot)
{
    struct eq_picture *p = eq_picture_add(all, "kind", name, 200, 150);
    eq_str_add(&p->title, "picture %s", name);
    eq_str_add(&p->data, "x,y\n1,2\n2,3\n");
    eq_str_add(&p->script, "plot %s\n", plot);
}

/* gnuplot ends at a script that it cannot draw; the others are drawn all the same, and the message names the one. */
static void one_bad_script_costs_one_picture(void **state)
{
    struct eq_pictures all = {0};
    struct eq_err err;
    (void)state;
    if (system("command -v gnuplot >/dev/null 2>&1") != 0)
        skip();
    add(&all, "a", "'kind_a.csv' using 'x':'y' with lines");
    add(&all, "b", "'kind_b.csv' using 'nothing':'y' with lines");
    add(&all, "c", "'kind_c.csv' using 'x':'y' with points");
    add(&all, "d", "] nonsense");
    add(&all, "e", "'kind_e.csv' using 'x':'y' with points");
    if (eq_pictures_draw(&all, dir, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < all.n; i++)
        assert_int_equal(all.list[i].drawn, i % 2 == 0);
    assert_true(there("kind_a.svg") && there("kind_c.svg") && there("kind_e.svg"));
    assert_false(there("kind_b.svg") || there("kind_d.svg"));
    assert_true(there("kind_b.gp") && there("kind_b.csv"));
    assert_non_null(strstr(all.missing.s, "kind_b.gp"));
    assert_non_null(strstr(all.missing.s, "kind_d.gp"));
    assert_null(strstr(all.missing.s, "kind_c.gp"));
    eq_pictures_clear(&all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_series_stand_out_on_both_papers),
        cmocka_unit_test(series_differ_for_the_color_blind),
        cmocka_unit_test(csv_quotes_what_it_must),
        cmocka_unit_test(a_script_shows_any_text),
        cmocka_unit_test(a_page_gets_variables_and_ids_of_its_own),
        cmocka_unit_test(a_file_stands_alone),
        cmocka_unit_test(half_a_picture_is_refused),
        TEST(one_bad_script_costs_one_picture),
    };
    return cmocka_run_group_tests_name("picture", tests, NULL, NULL);
}
