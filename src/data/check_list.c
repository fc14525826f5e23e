/* What the rows of a list say beyond what its reader notes: EFs that are rare, columns of one value, and numbers that
 * volumes or clips contradict. */
#include "data/check.h"

#include <math.h>

/* EchoNet-Dynamic has EFs from 7 to 97 %, nearly all of them within these. */
static const double LOWEST_EF = 5, HIGHEST_EF = 95;
static const double EF_TOLERANCE = 5;      /* points: volumes are rounded, or measured on other frames */
static const double RATE_TOLERANCE = 0.02; /* of the clip's rate; lists round to whole frames a second */
enum { FEWEST_ROWS = 3 };                  /* of which a column of one value is worth a word */

static void __attribute__((format(printf, 4, 5)))
add(struct eq_data_check *c, enum eq_finding_kind kind, const struct eq_sample *s, const char *fmt, ...)
{
    struct eq_str detail = {0};
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&detail, fmt, args);
    va_end(args);
    eq_data_check_add(c, kind, s ? s->file_name : "", s ? (int)s->split : -1, detail.s);
    eq_str_clear(&detail);
}

static double esv_of(const struct eq_sample *s)
{
    return s->esv;
}

static double edv_of(const struct eq_sample *s)
{
    return s->edv;
}

static void check_column(struct eq_data_check *c, const struct eq_dataset *ds, const char *name,
                         double (*value_of)(const struct eq_sample *))
{
    size_t n = 0;
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < ds->n; i++) {
        double value = value_of(&ds->samples[i]);
        if (isnan(value))
            continue;
        lo = fmin(lo, value);
        hi = fmax(hi, value);
        n++;
    }
    if (n >= FEWEST_ROWS && lo == hi)
        add(c, EQ_FINDING_CONSTANT, NULL, "%s is the same in every row (%g)", name, lo);
}

static void check_ef(struct eq_data_check *c, const struct eq_sample *s, bool fraction)
{
    double of_volumes = 100 * (s->edv - s->esv) / s->edv;
    if (fraction) /* said once for all rows */
        return;
    if ((s->ef < LOWEST_EF && s->ef > 1) || s->ef > HIGHEST_EF) /* the reader of the list notes those up to 1 */
        add(c, EQ_FINDING_EF_RANGE, s, "EF %.3g", s->ef);
    if (s->edv > 0 && s->esv > s->edv)
        add(c, EQ_FINDING_VOLUMES, s, "ESV %.4g is above EDV %.4g", s->esv, s->edv);
    else if (s->edv > 0 && fabs(of_volumes - s->ef) > EF_TOLERANCE)
        add(c, EQ_FINDING_VOLUMES, s, "EF %.3g, by volumes %.3g", s->ef, of_volumes);
}

static void check_against_clip(struct eq_data_check *c, const struct eq_sample *s, const struct eq_checked_clip *clip,
                               int frames)
{
    int n = clip->frames;
    if (n < frames)
        add(c, EQ_FINDING_SHORT, s, "%d of %d", n, frames);
    if ((s->frame_width && s->frame_width != clip->width) || (s->frame_height && s->frame_height != clip->height))
        add(c, EQ_FINDING_FRAME_SIZE, s, "row %d x %d, clip %d x %d", s->frame_width, s->frame_height, clip->width,
            clip->height);
    if (s->fps > 0 && clip->fps > 0 && fabs(s->fps - clip->fps) > fmax(1, RATE_TOLERANCE * clip->fps))
        add(c, EQ_FINDING_FRAME_RATE, s, "row %.4g, clip %.4g", s->fps, clip->fps);
    if (s->number_of_frames && s->number_of_frames != n)
        add(c, EQ_FINDING_FRAME_COUNT, s, "row %d, clip %d", s->number_of_frames, n);
}

void eq_check_rows(struct eq_data_check *c, const struct eq_dataset *ds, int frames)
{
    check_column(c, ds, "ESV", esv_of);
    check_column(c, ds, "EDV", edv_of);
    for (size_t i = 0; i < ds->n; i++) {
        check_ef(c, &ds->samples[i], ds->ef_like_fraction);
        if (!c->clips[i].fault)
            check_against_clip(c, &ds->samples[i], &c->clips[i], frames);
    }
}
