/* A picture with a still of many clips. Rows come in bands: clips with a fault, then TRAIN, VAL and TEST. */
#include "echoquant/data.h"

#include "clip/still.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STILL = 112, BORDER = 4, TILE = STILL + 2 * BORDER, COLUMNS = 8, FAULTS = 2 * COLUMNS };

/* The most clips of each split; what one leaves goes to the others. */
static const size_t shares[EQ_SPLIT_COUNT] = {3 * COLUMNS, COLUMNS, 2 * COLUMNS};

static void add_tile(struct eq_contact_sheet *s, size_t sample, int row, int column)
{
    s->tiles = eq_list_grow(s->tiles, s->n, sizeof *s->tiles);
    s->tiles[s->n++] = (struct eq_sheet_tile){sample, row, column};
}

/* Adds a band of at most `most` samples of which `in` is true, spread evenly; returns the row after it. */
static int add_band(struct eq_contact_sheet *s, const bool *in, size_t n, size_t most, int row)
{
    size_t all = 0, seen = 0, taken = 0;
    for (size_t i = 0; i < n; i++)
        all += in[i];
    size_t wanted = all < most ? all : most;
    for (size_t i = 0; i < n && taken < wanted; i++) {
        if (!in[i] || seen++ != taken * all / wanted)
            continue;
        add_tile(s, i, row + (int)(taken / COLUMNS), (int)(taken % COLUMNS));
        taken++;
    }
    return row + (int)((taken + COLUMNS - 1) / COLUMNS);
}

/* Returns the number of rows. */
static int lay_out(struct eq_contact_sheet *s, const struct eq_dataset *ds, const struct eq_data_check *check, bool *in)
{
    size_t left = 0, most[EQ_SPLIT_COUNT], there[EQ_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < ds->n; i++) {
        in[i] = check->clips[i].fault != NULL;
        there[ds->samples[i].split] += !in[i];
    }
    int row = add_band(s, in, ds->n, FAULTS, 0);
    for (int split = 0; split < EQ_SPLIT_COUNT; split++) {
        most[split] = shares[split];
        left += there[split] < shares[split] ? (shares[split] - there[split]) / COLUMNS * COLUMNS : 0;
    }
    for (int split = 0; split < EQ_SPLIT_COUNT; split++) {
        size_t more = there[split] > most[split] ? there[split] - most[split] : 0;
        more = more < left ? more : left;
        left -= more;
        for (size_t i = 0; i < ds->n; i++)
            in[i] = !check->clips[i].fault && (int)ds->samples[i].split == split;
        row = add_band(s, in, ds->n, most[split] + more, row);
    }
    return row;
}

struct drawing {
    const struct eq_dataset *ds;
    const struct eq_data_check *check;
    const struct eq_contact_sheet *sheet;
    uint8_t *stills; /* [threads][STILL][STILL][3] */
    uint8_t *pixels; /* [rows * TILE][columns * TILE][3] */
    int rows, columns;
    pthread_mutex_t lock;
    enum eq_status st; /* of a clip that the check could read, under lock */
    struct eq_err err;
};

static const uint8_t red[3] = {220, 30, 30}, background[3] = {24, 24, 24};

/* Black, crossed out. */
static void draw_nothing(uint8_t *still)
{
    memset(still, 0, STILL * STILL * 3);
    for (size_t i = 0; i < STILL; i++) {
        memcpy(still + (i * STILL + i) * 3, red, 3);
        memcpy(still + (i * STILL + STILL - 1 - i) * 3, red, 3);
    }
}

static void draw_tile(void *ctx, size_t i, int worker)
{
    struct drawing *d = ctx;
    const struct eq_sheet_tile *t = &d->sheet->tiles[i];
    const struct eq_sampling middle = {.frames = 1, .size = STILL, .phase = -1};
    uint8_t *still = d->stills + (size_t)worker * STILL * STILL * 3;
    bool fault = d->check->clips[t->sample].fault != NULL;
    struct eq_err err = {0};
    enum eq_status st = eq_clip_read(d->ds->samples[t->sample].path, &middle, still, NULL, &err);
    if (st != EQ_OK)
        draw_nothing(still);
    if (st == EQ_NOMEM || (st != EQ_OK && !fault)) {
        pthread_mutex_lock(&d->lock);
        d->st = st;
        d->err = err;
        pthread_mutex_unlock(&d->lock);
    }
    for (int y = 0; y < TILE; y++) {
        uint8_t *row = d->pixels + ((size_t)(t->row * TILE + y) * (size_t)d->columns + (size_t)t->column) * TILE * 3;
        for (int x = 0; x < TILE; x++)
            memcpy(row + 3 * x, fault ? red : background, 3);
        if (y >= BORDER && y < BORDER + STILL)
            memcpy(row + 3 * BORDER, still + (y - BORDER) * STILL * 3, STILL * 3);
    }
}

enum eq_status eq_contact_sheet_write(const char *path, const struct eq_dataset *ds, const struct eq_data_check *check,
                                      struct eq_contact_sheet *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct drawing d = {.ds = ds, .check = check, .sheet = out, .lock = PTHREAD_MUTEX_INITIALIZER};
    *out = (struct eq_contact_sheet){0};
    bool *in = calloc(ds->n + 1, sizeof *in);
    if (!in)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the contact sheet"));
    d.rows = lay_out(out, ds, check, in);
    for (size_t i = 0; i < out->n; i++)
        d.columns = d.columns > out->tiles[i].column + 1 ? d.columns : out->tiles[i].column + 1;
    if (out->n == 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: there is no clip for a contact sheet", ds->dir));
    d.stills = eq_alloc((size_t)eq_parallel_threads(), STILL * STILL * 3);
    d.pixels = eq_alloc((size_t)d.rows * TILE, (size_t)d.columns * TILE * 3);
    if (!d.stills || !d.pixels)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the contact sheet"));
    eq_parallel_for(out->n, draw_tile, &d);
    if (d.st != EQ_OK)
        EQ_TRY(eq_fail(err, d.st, "%s", d.err.msg));
    EQ_TRY(eq_png_write(path, d.pixels, d.columns * TILE, d.rows * TILE, err));
out:
    free(in);
    eq_free(d.stills);
    eq_free(d.pixels);
    if (st != EQ_OK)
        eq_contact_sheet_clear(out);
    return st;
}

void eq_contact_sheet_clear(struct eq_contact_sheet *s)
{
    free(s->tiles);
    *s = (struct eq_contact_sheet){0};
}
